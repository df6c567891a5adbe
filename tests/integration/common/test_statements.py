"""What the driver remembers of a statement's text."""

from __future__ import annotations

import pytest
from django.db import connection
from psycopg import _queries


@pytest.mark.django_db
def test_a_long_statement_of_many_parameters_is_looked_through_once() -> None:
    names = [f"p{number}" for number in range(64)]
    statement = f"SELECT {', '.join(f'%({name})s::int' for name in names)} /* {'long ' * 1_600} */"
    read = _queries._query2pg.cache_info
    before = read()
    for round_ in range(3):
        with connection.cursor() as cursor:
            cursor.execute(statement, dict.fromkeys(names, round_))
            assert cursor.fetchone() == (round_,) * 64
    after = read()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 2)
