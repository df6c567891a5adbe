"""The embedded database's two roles: one owns the tables, one uses them.

What the application may do to each table is granted after the migrations (`nautilus_site/common/privileges.py`).
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection, sql

from nautilus_site.env import ROOT

OWNER = "nautilus_owner"
APPLICATION = "nautilus"
# As for a server of one's own.
_SCRIPT = ROOT / "scripts" / "database_roles.sql"

# Databases that the application owns, or in which it owns something: all of them, before there were two roles.
_OWNED = """
SELECT DISTINCT d.datname
  FROM pg_shdepend s JOIN pg_database d
    ON d.oid = CASE WHEN s.dbid = 0 AND s.classid = 'pg_database'::regclass THEN s.objid ELSE s.dbid END
 WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = to_regrole(%s) AND s.deptype = 'o' AND d.datallowconn
"""


def make_database(connection: Connection[Any], name: str) -> list[str]:
    """Create the database if there is none. Returns those in which the roles have to be set up."""
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    owned = connection.execute(_OWNED, [APPLICATION]).fetchall()
    return [name, *(other for (other,) in owned if other != name)]


def make_roles(connection: Connection[Any], *, owner: str, application: str) -> None:
    """Create both roles or bring them up to date, and give the owner all there is in the connected database.

    Parameters
    ----------
    connection : a superuser's.
    owner, application : passwords.
    """
    told = {
        "owner": OWNER,
        "owner_password": owner,
        "application": APPLICATION,
        "application_password": application,
    }
    for name, value in told.items():
        connection.execute("SELECT set_config(%s, %s, true)", [f"nautilus.{name}", value])
    connection.execute(_SCRIPT.read_bytes())
