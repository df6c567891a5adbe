"""The one step an app begins with makes what its older steps make; a database of before has none of it to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

pytestmark = [pytest.mark.long]

ROOT = Path(__file__).resolve().parents[3]
PARTS = {
    "columns": """
        SELECT table_name, column_name, udt_name, is_nullable, column_default, character_maximum_length,
               numeric_precision, numeric_scale, is_identity
          FROM information_schema.columns WHERE table_schema = 'public'""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
          FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "triggers": "SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "privileges": "SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    "rows": "SELECT sweep, every_s FROM trading_sweepperiod",
}


@pytest.fixture
def urls() -> Iterator[tuple[str, str]]:
    """Two empty databases."""
    base = os.environ["DATABASE_URL"]
    names = [f"squashed_{uuid4().hex}" for _ in range(2)]
    with psycopg.connect(base, autocommit=True) as server:
        for name in names:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    before, _, after = base.partition("?")
    address = before.rsplit("/", 1)[0]
    tail = f"?{after}" if after else ""
    yield (f"{address}/{names[0]}{tail}", f"{address}/{names[1]}{tail}")
    with psycopg.connect(base, autocommit=True) as server:
        for name in names:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def run(url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def described(url: str, part: str) -> set[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return set(connection.execute(PARTS[part]).fetchall())


def test_both_ways_lead_to_the_same_database(urls: tuple[str, str]) -> None:
    new, old = urls
    run(new, "manage.py", "migrate", "--verbosity", "0")
    run(old, "-m", "tests.integration.common.older_steps")
    assert "_squashed_" not in run(old, "manage.py", "migrate", "--plan"), (
        "only what came later is left to do"
    )
    run(old, "manage.py", "migrate", "--verbosity", "0")
    for part in PARTS:
        assert described(new, part), part
        assert described(new, part) == described(old, part), part
