"""Postgres and Valkey run from binaries that come with the installed packages: sockets only, no Django."""
