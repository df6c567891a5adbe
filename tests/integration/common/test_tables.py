"""Statements written by hand read and write the same rows as the models' own."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection

from nautilus_site.common.models import AuditEntry, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.tables import Table
from trading.models import Blackout, RiskLimit

pytestmark = pytest.mark.django_db
LIMITS = Table(RiskLimit)
UNTIL = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def limit(number: int, until: datetime | None) -> RiskLimit:
    return RiskLimit(
        name=f"made{number}", scope="global", value=Decimal("0.0000000001") * number, unit="x", in_force_until=until,
        description="it's 100 % {odd} \\ text", changed_by="test", changed_at=UNTIL,
    )  # fmt: skip


def stored() -> list[RiskLimit]:
    return list(RiskLimit.objects.filter(name__startswith="made").order_by("pk"))


def same(first: RiskLimit, second: RiskLimit) -> bool:
    names = [field.attname for field in RiskLimit._meta.concrete_fields if not field.primary_key]
    return all(getattr(first, name) == getattr(second, name) for name in names)


@pytest.mark.parametrize("count", [1, 3])
def test_rows_are_written_as_the_model_would_write_them_and_in_their_order(count: int) -> None:
    made = [limit(number, UNTIL if number % 2 else None) for number in range(1, count + 1)]
    with connection.cursor() as cursor:
        if count == 1:
            cursor.execute(f"{LIMITS.insert_one} RETURNING id", LIMITS.row(made[0]))
        else:
            cursor.execute(f"{LIMITS.insert} RETURNING id", LIMITS.parameters(made))
        keys = [key for (key,) in cursor.fetchall()]
    assert [row.pk for row in stored()] == keys
    assert all(same(row, wanted) for row, wanted in zip(stored(), made, strict=True))


def test_nothing_is_written_of_no_rows() -> None:
    with connection.cursor() as cursor:
        cursor.execute(LIMITS.insert, LIMITS.parameters([]))
    assert stored() == []


def test_a_row_is_read_as_the_model_reads_it_and_what_was_left_out_when_it_is_asked_for() -> None:
    limit(1, UNTIL).save()
    part = Table(RiskLimit, without=("description",))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {LIMITS.columns('l')} FROM trading_risklimit AS l WHERE name = 'made1'")  # noqa: S608
        whole = LIMITS.read(cursor.fetchone())
        cursor.execute(f"SELECT {part.columns('l')} FROM trading_risklimit AS l WHERE name = 'made1'")  # noqa: S608
        some = part.read(cursor.fetchone())
    assert same(whole, stored()[0])
    assert some.get_deferred_fields() == {"description"}
    assert some.description == whole.description
    assert not whole._state.adding


def test_the_far_side_of_an_outer_join_is_nothing_where_there_was_no_row() -> None:
    windows = Table(Blackout)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {windows.columns('b')} FROM (SELECT 1) AS one LEFT JOIN trading_blackout AS b ON false"  # noqa: S608
        )
        assert windows.read_if(cursor.fetchone()) is None


@pytest.mark.parametrize("value", [None, {"a": [1, "x"]}, "text", 0, False])
def test_json_is_kept_as_the_model_keeps_it(value: object) -> None:
    """Nothing is a null of the database and not one of JSON; the sealed chain reads both."""
    person = User.objects.create(username="somebody")
    entry = audit_record(action="test.kept", target="t", actor=person, before=value, after={"is": value})
    row = AuditEntry.objects.get(pk=entry.pk)
    assert (row.before, row.after, row.actor, row.actor_name) == (value, {"is": value}, person, "somebody")
    assert AuditEntry.objects.filter(pk=entry.pk, before__isnull=True).exists() is (value is None)
