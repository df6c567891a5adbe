"""Admin lists of tables that only grow: no statement may read a whole table."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from nautilus_site.common.models import User

pytestmark = pytest.mark.django_db
GROWING = ("order", "orderevent", "fill", "ledgerentry", "decision", "plan", "venueevent", "equitysnapshot")


@pytest.mark.parametrize("name", GROWING)
def test_nothing_is_counted_or_searched_for_distinct_values_without_a_bound(
    name: str, trader: User, client: Any
) -> None:
    client.force_login(trader)
    address = reverse(f"admin:trading_{name}_changelist")
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    table = f'FROM "trading_{name}"'
    about = [question["sql"] for question in asked if table in question["sql"]]
    assert about
    costly = re.compile(r"DISTINCT|DATE_TRUNC|MIN\(|MAX\(|COUNT\((?!.*LIMIT)")
    assert [sql for sql in about if costly.search(sql)] == []
