"""What `exposure()` says, for long walks: a part is read again once one of its tables was written to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection

from tests.integration.governance.two_people.exposure import PARTS, Exposure, Reading

Part = Callable[[], Iterator[tuple[str, Reading]]]
# Since the transaction began, with what was rolled back to a savepoint: no count comes back to what it was.
WRITES = """
    SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_xact_user_tables
    WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
"""
TABLES = re.compile(r'(?:FROM|JOIN) "(\w+)"')


class Watch:
    """Looks at everything that is governed, within one transaction."""

    def __init__(self) -> None:
        self.began: Any = None
        self.writes: dict[str, tuple[int, ...]] = {}
        self.read: dict[Part, Exposure] = {}
        self.tables: dict[Part, set[str]] = {}

    def look(self) -> Exposure:
        """The same as `exposure()`."""
        changed = self._changed()
        for part in PARTS:
            if changed is None or part not in self.read or changed & self.tables[part]:
                self.read[part] = self._read(part)
        return {name: reading for part in PARTS for name, reading in self.read[part].items()}

    def _read(self, part: Part) -> Exposure:
        tables = self.tables.setdefault(part, set())

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            tables.update(TABLES.findall(sql))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            return dict(part())

    def _changed(self) -> set[str] | None:
        """Tables written to since the last look; None is all of them, where there is no telling."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT transaction_timestamp()")
            (began,) = cursor.fetchone()
            cursor.execute(WRITES)
            writes = {name: tuple(counts) for name, *counts in cursor.fetchall()}
        told = connection.in_atomic_block and began == self.began
        changed = {name for name, counts in writes.items() if counts != self.writes.get(name)}
        self.began, self.writes = began, writes
        return changed if told else None
