"""The embedded database's two roles: one owns the tables, one uses them. Everything here may be repeated.

A superuser's connection is needed, and nobody else's. What the application may do to each table is granted after the
migrations (`nautilus_site/common/privileges.py`).
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection, sql

OWNER = "nautilus_owner"
APPLICATION = "nautilus"

# CREATEDB: a restore fills a new database and swaps it with the present one; tests make databases of their own.
_ATTRIBUTES = {
    OWNER: "LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS",
    APPLICATION: "LOGIN NOCREATEDB NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS",
}


def make_roles(connection: Connection[Any], *, owner: str, application: str) -> None:
    """Create both roles, or bring their passwords and attributes up to date.

    Parameters
    ----------
    owner, application : their passwords.
    """
    for name, password in ((OWNER, owner), (APPLICATION, application)):
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
        statement = sql.SQL("{} ROLE {} {} PASSWORD {}").format(
            sql.SQL("ALTER" if known else "CREATE"),
            sql.Identifier(name),
            sql.SQL(_ATTRIBUTES[name]),
            sql.Literal(password),
        )
        connection.execute(statement)


def make_database(connection: Connection[Any], name: str) -> None:
    """Create the owner's database if there is none."""
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        statement = sql.SQL("CREATE DATABASE {} OWNER {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(OWNER)))


def databases_of_application(connection: Connection[Any]) -> list[str]:
    """Databases that the application owns, or in which it owns something: all of them, before there were two roles."""
    rows = connection.execute(
        """
        SELECT DISTINCT d.datname
          FROM pg_shdepend s JOIN pg_database d
            ON d.oid = CASE WHEN s.dbid = 0 AND s.classid = 'pg_database'::regclass THEN s.objid ELSE s.dbid END
         WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = %s::regrole AND s.deptype = 'o'
           AND d.datallowconn
        """,
        [APPLICATION],
    )
    return [name for (name,) in rows]


def hand_over(connection: Connection[Any]) -> None:
    """Give the owner all that the application owns in the connected database, and the databases it owns.

    Tables, sequences, types, functions with their triggers, and what somebody may do with them: in one transaction.
    """
    connection.execute(
        sql.SQL("REASSIGN OWNED BY {} TO {}").format(sql.Identifier(APPLICATION), sql.Identifier(OWNER))
    )
