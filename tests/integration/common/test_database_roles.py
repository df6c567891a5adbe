"""What the application's role may do in the database: what is declared, table by table, and nothing that gives more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from psycopg.errors import InsufficientPrivilege

from nautilus_site.common.ownership import NotSeparate, privileges_apply
from nautilus_site.common.privileges import PRIVILEGES, READERS, TABLES, allowed, differences, powers
from nautilus_site.supervisor.embedded.postgres import EmbeddedPostgres
from nautilus_site.supervisor.embedded.roles import APPLICATION, OWNER

HOME = Path(os.environ["NAUTILUS_HOME"])
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        not (HOME / "postgres" / "owner_password").is_file(),
        reason="the server is not ours, nor are its roles",
    ),
]


@pytest.fixture(scope="module")
def split(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database as a platform's: this suite's role owns it, the application's role is granted what it needs."""
    with django_db_blocker.unblock():
        privileges_apply(APPLICATION)
        yield
        connection.close()


def connect(role: str = APPLICATION) -> psycopg.Connection[Any]:
    """A connection of its own to the test database."""
    server = EmbeddedPostgres(HOME)
    url = {APPLICATION: server.url, "postgres": server._superuser_url()}[role]
    return psycopg.connect(url, dbname=connection.settings_dict["NAME"], autocommit=True)


def held_by(role: str) -> dict[str, set[str]]:
    """Table -> what the database says a role may do to it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename, p FROM pg_tables, unnest(%s::text[]) p WHERE schemaname = 'public'"
            " AND has_table_privilege(%s::name, quote_ident(tablename)::regclass, p)",
            [list(PRIVILEGES), role],
        )
        found: dict[str, set[str]] = {}
        for table, privilege in cursor.fetchall():
            found.setdefault(table, set()).add(privilege)
        return found


def tables_of_all_apps() -> set[str]:
    models = [model for model in apps.get_models(include_auto_created=True) if model._meta.managed]
    return {model._meta.db_table for model in models if not model._meta.proxy} | {"django_migrations"}


def test_every_table_of_every_app_may_be_used_as_it_is_declared(split: None) -> None:
    held = held_by(APPLICATION)
    tables = tables_of_all_apps()
    assert len(tables) > 100
    assert {table: held.get(table, set()) for table in tables} == {
        table: set(allowed(table)) for table in tables
    }
    assert set(held) <= tables, "and nothing beside them"
    assert set(TABLES) <= tables, "what is declared is there"


def test_the_declaration_takes_away_what_the_triggers_refuse(split: None) -> None:
    """Tables whose trigger refuses every UPDATE, whatever the row."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger JOIN pg_proc p ON p.oid = tgfoid"
            " WHERE NOT tgisinternal AND tgqual IS NULL AND tgtype & 16 > 0 AND proname ~ '_refuse(_change)?$'"
        )
        refused = {table for (table,) in cursor.fetchall()}
    assert len(refused) >= 10
    assert {table for table in refused if "UPDATE" in allowed(table)} == set()


def test_the_application_owns_nothing_and_cannot_become_who_does(split: None) -> None:
    with connection.cursor() as cursor:
        assert powers(cursor, APPLICATION) == []
        cursor.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchall() == [(OWNER,)]


@pytest.mark.parametrize(
    "attempt",
    [
        f"SET ROLE {OWNER}",
        "SET session_replication_role = replica",
        "ALTER ROLE nautilus SUPERUSER",
        f"GRANT {OWNER} TO nautilus",
        f"REASSIGN OWNED BY {OWNER} TO nautilus",
        "CREATE TABLE mine (n integer)",
        "CREATE TEMPORARY TABLE common_unsealedentry (entry_id bigint)",
        "CREATE OR REPLACE FUNCTION common_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('common', 'x', now())",
        "DELETE FROM common_changerequest",
        "UPDATE trading_fill SET price = 1",
        "SELECT setval('common_auditentry_id_seq', 1)",
        *(
            attempt.format(table)
            for table in ("common_auditentry", "common_auditseal")
            for attempt in (
                "UPDATE {} SET id = id",
                "DELETE FROM {}",
                "TRUNCATE {} CASCADE",
                "SELECT * FROM {} FOR UPDATE",
                "ALTER TABLE {} DISABLE TRIGGER ALL",
                "ALTER TABLE {} OWNER TO nautilus",
                "ALTER TABLE {} ADD COLUMN n integer",
                "CREATE TRIGGER t BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION common_audit_refuse()",
                "DROP TABLE {} CASCADE",
            )
        ),
        "DROP TRIGGER audit_entry_no_change ON common_auditentry",
    ],
)
def test_the_application_is_refused(split: None, attempt: str) -> None:
    with connect() as application, pytest.raises(InsufficientPrivilege):
        application.execute(attempt)


def test_the_application_cannot_give_itself_a_right(split: None) -> None:
    with connect() as application:  # PostgreSQL warns, and does nothing
        application.execute("GRANT UPDATE, DELETE, TRUNCATE ON common_auditentry TO nautilus")
    assert held_by(APPLICATION)["common_auditentry"] == {"SELECT", "INSERT"}


def test_what_the_application_writes_into_the_trail_waits_to_be_sealed(split: None) -> None:
    with connect() as application, application.transaction(force_rollback=True):
        row = application.execute(
            "INSERT INTO common_auditentry (at, actor_name, action, target, reason, request_id)"
            " VALUES (now(), 'somebody', 'x', 'y', '', '') RETURNING id"
        ).fetchone()
        waiting = application.execute("SELECT entry_id FROM common_unsealedentry WHERE entry_id = %s", row)
        assert waiting.fetchone() == row


def test_a_table_made_later_is_a_fact_until_it_has_been_declared(split: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE made_later (n integer)")
        try:
            assert held_by(APPLICATION)["made_later"] == {"SELECT", "INSERT"}
            assert differences(cursor, APPLICATION) == [
                "DELETE on made_later is not granted",
                "UPDATE on made_later is not granted",
            ]
        finally:
            cursor.execute("DROP TABLE made_later")


@pytest.mark.django_db(transaction=True)
def test_an_auditors_role_reads_the_trail_and_nothing_else(split: None) -> None:
    (reader,) = READERS
    with connect("postgres") as superuser:
        superuser.execute(f"CREATE ROLE {reader}")
        try:
            privileges_apply(APPLICATION)
            assert held_by(reader) == {table: {"SELECT"} for table in READERS[reader]}
        finally:
            superuser.execute(f"DROP OWNED BY {reader}")
            superuser.execute(f"DROP ROLE {reader}")


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("postgres", "postgres is a superuser"),
        (OWNER, f"{OWNER} may create databases; {OWNER} may become the owner"),
        ("nobody_of_that_name", "there is no role nobody_of_that_name"),
    ],
)
def test_a_role_that_could_help_itself_is_refused(split: None, role: str, why: str) -> None:
    with pytest.raises(NotSeparate, match=why):
        privileges_apply(role)


@pytest.mark.django_db(transaction=True)
def test_migrate_connects_as_the_owner_and_leaves_the_application_as_it_was(
    split: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = connection.settings_dict
    settings.DATABASE_OWNER = dict(used)
    connection.close()
    monkeypatch.setitem(used, "USER", APPLICATION)
    monkeypatch.setitem(used, "PASSWORD", (HOME / "postgres" / "password").read_text())
    try:
        with connect("postgres") as superuser:
            superuser.execute("GRANT TRUNCATE ON trading_fill TO nautilus")
        call_command("migrate", verbosity=0)
        assert "TRUNCATE" not in held_by(APPLICATION)["trading_fill"]
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            assert cursor.fetchone() == (APPLICATION,)
        settings.DATABASE_OWNER = {}
        with pytest.raises(CommandError, match="do not belong to nautilus: set DATABASE_OWNER_URL"):
            call_command("migrate", verbosity=0)
    finally:
        connection.close()
