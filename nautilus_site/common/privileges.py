"""What the database role of the application may do to each table, as data, and the one step that makes it so.

The owner of the tables migrates and decides who may do what; the application reads and writes rows. A table that is
not named here is an ordinary one. Functions take any cursor (Django's or psycopg's) connected as the owner: a restore
is done before there is a Django. Applied after every migration, each time as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import sql

READ = frozenset({"SELECT"})
FACT = READ | {"INSERT"}
KEPT = FACT | {"UPDATE"}
QUEUE = FACT | {"DELETE"}
ORDINARY = KEPT | {"DELETE"}
# All there is: what no set above names, nobody but the owner has.
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")

# The trail: here the owner takes the rights from himself, too.
TRAIL = ("common_auditentry", "common_auditseal")

TABLES: Mapping[str, frozenset[str]] = {
    "django_migrations": READ,
    # What happened: written once.
    **dict.fromkeys(TRAIL, FACT),
    "common_changecomment": FACT,
    "common_changehandover": FACT,
    "trading_fill": FACT,
    "trading_ledgerentry": FACT,
    "trading_orderevent": FACT,
    "trading_positiontransfer": FACT,
    "mlregistry_stagechange": FACT,
    "governance_policyversion": FACT,
    "governance_policyactivation": FACT,
    "governance_routingdecision": FACT,
    "governance_rulefiring": FACT,
    "governance_afteraction": FACT,
    # Old ones go, none changes. What waits to be sealed goes when it is.
    "governance_allocationrun": QUEUE,
    "governance_allocation": QUEUE,
    "common_unsealedentry": QUEUE,
    # They come to an end and stay; what they may become is for their triggers and services to say.
    "common_auditverification": KEPT,
    "common_changerequest": KEPT,
    "common_breakglass": KEPT,
    "mlregistry_modelartefact": KEPT,
    "mlregistry_gateverdict": KEPT,
}

# Roles that only read, granted where somebody has made them: for auditors.
READERS: Mapping[str, tuple[str, ...]] = {
    "nautilus_audit_ro": (*TRAIL, "common_auditverification"),
}

_RELATIONS = """
SELECT c.relname FROM pg_class c
 WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY 1
"""
_HELD = """
SELECT c.relname, p.name FROM pg_class c, unnest(%s::text[]) AS p(name)
 WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
   AND (has_table_privilege(%s::name, c.oid, p.name)
        OR p.name IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
           AND has_any_column_privilege(%s::name, c.oid, p.name))
"""
_NOT_OWNED = """
SELECT c.relname FROM pg_class c
 WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v', 'm')
   AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1
"""
_POWERS = """
SELECT r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication,
       pg_has_role(r.oid, current_user, 'MEMBER'),
       has_schema_privilege(r.oid, current_schema(), 'CREATE'),
       EXISTS (SELECT FROM pg_shdepend s, pg_database d
                WHERE d.datname = current_database() AND s.dbid IN (0, d.oid)
                  AND s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid AND s.deptype = 'o')
  FROM pg_roles r WHERE r.rolname = %s
"""


def allowed(table: str) -> frozenset[str]:
    """What the application may do to a table."""
    return TABLES.get(table, ORDINARY)


def trail_protect(cursor: Any) -> None:
    """Take the rights to change the trail from everybody, the owner who is connected included.

    All there is to do where one role owns and uses the database.
    """
    there = [name for name in TRAIL if name in set(relations(cursor))]
    if there:
        cursor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {_names(there)} FROM PUBLIC, CURRENT_USER")


def grant(cursor: Any, role: str) -> None:
    """Give a role what the application needs and take everything else from it.

    Raises
    ------
    LookupError : there is no such role.
    """
    tables = relations(cursor)
    schema, database = _one(cursor, "SELECT current_schema()"), _one(cursor, "SELECT current_database()")
    if _one(cursor, "SELECT count(*) FROM pg_roles WHERE rolname = %s", [role]) == 0:
        raise LookupError(f"there is no role {role}")
    to = _names([role])
    within = f"IN SCHEMA {_names([schema])}"
    for statement in (
        f"REVOKE ALL ON ALL TABLES {within} FROM PUBLIC, {to}",
        f"REVOKE ALL ON ALL SEQUENCES {within} FROM PUBLIC, {to}",
        # What waits to be sealed must not be queued in a table of one's own that only bears the name.
        f"REVOKE CREATE, TEMPORARY ON DATABASE {_names([database])} FROM PUBLIC, {to}",
        f"REVOKE CREATE ON SCHEMA {_names([schema])} FROM PUBLIC, {to}",
        f"GRANT USAGE ON SCHEMA {_names([schema])} TO {to}",
        f"GRANT USAGE ON ALL SEQUENCES {within} TO {to}",
        # A table made later is a fact until this has been done again.
        f"ALTER DEFAULT PRIVILEGES {within} GRANT SELECT, INSERT ON TABLES TO {to}",
        f"ALTER DEFAULT PRIVILEGES {within} GRANT USAGE ON SEQUENCES TO {to}",
        *_grants(tables, {table: allowed(table) for table in tables}, to),
    ):
        cursor.execute(statement)
    for reader, kept in READERS.items():
        if _one(cursor, "SELECT count(*) FROM pg_roles WHERE rolname = %s", [reader]):
            there = [table for table in kept if table in set(tables)]
            cursor.execute(f"REVOKE ALL ON ALL TABLES {within} FROM {_names([reader])}")
            if there:
                cursor.execute(f"GRANT SELECT ON {_names(there)} TO {_names([reader])}")
                cursor.execute(f"GRANT USAGE ON SCHEMA {_names([schema])} TO {_names([reader])}")
    trail_protect(cursor)


def differences(cursor: Any, role: str) -> list[str]:
    """Compare the declaration with what the database says; empty when both are the same."""
    cursor.execute(_HELD, [list(PRIVILEGES), role, role])
    held: set[tuple[str, str]] = set(cursor.fetchall())
    declared = {(table, privilege) for table in relations(cursor) for privilege in allowed(table)}
    return [
        *(f"{privilege} on {table} is not granted" for table, privilege in sorted(declared - held)),
        *(f"{privilege} on {table} is held and not declared" for table, privilege in sorted(held - declared)),
    ]


def powers(cursor: Any, role: str) -> list[str]:
    """Name each way in which a role is, or could make itself, more than a user of the tables."""
    cursor.execute(_POWERS, [role])
    row = cursor.fetchone()
    if row is None:
        return [f"there is no role {role}"]
    sentences = (
        "is a superuser",
        "may create roles",
        "may create databases",
        "may replicate",
        "may become the owner of the tables",
        "may create tables",
        "owns something in the database",
    )
    return [f"{role} {sentence}" for held, sentence in zip(row, sentences, strict=True) if held]


def relations(cursor: Any) -> list[str]:
    """Tables and views of the schema in use."""
    cursor.execute(_RELATIONS)
    return [name for (name,) in cursor.fetchall()]


def not_owned(cursor: Any) -> list[str]:
    """Tables and sequences of the schema in use that the connected role has no power over."""
    cursor.execute(_NOT_OWNED)
    return [name for (name,) in cursor.fetchall()]


def _grants(tables: Iterable[str], may: Mapping[str, frozenset[str]], to: str) -> list[str]:
    """One statement for each set of privileges."""
    alike: dict[frozenset[str], list[str]] = {}
    for table in tables:
        alike.setdefault(may[table], []).append(table)
    return [
        f"GRANT {', '.join(sorted(privileges))} ON {_names(names)} TO {to}"
        for privileges, names in alike.items()
    ]


def _names(names: Iterable[str]) -> str:
    return ", ".join(sql.Identifier(name).as_string(None) for name in names)


def _one(cursor: Any, query: str, values: list[Any] | None = None) -> Any:
    cursor.execute(query, values)
    return cursor.fetchone()[0]
