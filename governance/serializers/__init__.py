"""Governance on the wire."""
