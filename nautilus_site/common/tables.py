"""A model's table for statements written by hand: its columns, its rows as model objects, its rows as parameters.

Building a query through the ORM costs more than running it. Where an order waits for the answer, the statement is
written out once, and this says which columns it names; types, converters and constraints stay those of the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models

M = TypeVar("M", bound=models.Model)


class Table(Generic[M]):
    """The concrete columns of a model, only those named or all without some; a row asks for the others when used.

    Made at import, it looks at the model only when it is first used.
    """

    def __init__(self, model: type[M], *only: str, without: Sequence[str] = ()) -> None:
        self._model = model
        self._only = frozenset(only)
        self._without = frozenset(without)

    @cached_property
    def _fields(self) -> list[models.Field[Any, Any]]:
        fields = [field for field in self._model._meta.concrete_fields if field.attname not in self._without]
        if not self._only:
            return fields
        return [field for field in fields if field.attname in self._only or field.primary_key]

    @cached_property
    def _names(self) -> list[str]:
        return [field.attname for field in self._fields]

    @cached_property
    def _json(self) -> list[int]:
        return [place for place, field in enumerate(self._fields) if isinstance(field, models.JSONField)]

    @cached_property
    def width(self) -> int:
        """How many values of an answer belong to one row."""
        return len(self._fields)

    def columns(self, alias: str) -> str:
        """The columns as a SELECT names them."""
        return ", ".join(f'{alias}."{field.column}"' for field in self._fields)

    def read(self, values: Sequence[Any]) -> M:
        """The object of one row's values, in the order of `columns`."""
        found = list(values)
        for place in self._json:
            # Django's connections hand JSON over as text.
            if isinstance(found[place], str):
                found[place] = json.loads(found[place])
        return self._model.from_db("default", self._names, found)

    def read_if(self, values: Sequence[Any]) -> M | None:
        """The same of the far side of an outer join: nothing where there was no row."""
        key = next(place for place, field in enumerate(self._fields) if field.primary_key)
        return None if values[key] is None else self.read(values)

    def split(self, row: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """The values of this table at the head of a row, and the rest."""
        return row[: self.width], row[self.width :]

    @cached_property
    def _stored(self) -> list[models.Field[Any, Any]]:
        return [field for field in self._fields if not isinstance(field, models.AutoField)]

    @cached_property
    def insert(self) -> str:
        """`INSERT ... SELECT ... FROM unnest(...)` of any number of rows; its parameters are those of `parameters`."""
        table = self._model._meta.db_table
        columns = ", ".join(f'"{field.column}"' for field in self._stored)
        arrays = ", ".join(f"%({table}_{field.column})s::{_array_type(field)}[]" for field in self._stored)
        names = ", ".join(f"c{place}" for place in range(len(self._stored)))
        return (
            f'INSERT INTO "{table}" ({columns}) SELECT {names}'  # noqa: S608  only names of our own columns
            f" FROM unnest({arrays}) WITH ORDINALITY AS made ({names}, place) ORDER BY place"
        )

    @cached_property
    def insert_one(self) -> str:
        """The same of exactly one row, which costs less than arrays of one; its parameters are those of `row`."""
        table = self._model._meta.db_table
        columns = ", ".join(f'"{field.column}"' for field in self._stored)
        values = ", ".join(f"%({table}_{field.column})s::{_array_type(field)}" for field in self._stored)
        return f'INSERT INTO "{table}" ({columns}) VALUES ({values})'  # noqa: S608  only names of our own columns

    def row(self, row: M) -> dict[str, Any]:
        """The parameters of `insert_one`."""
        table = self._model._meta.db_table
        return {
            f"{table}_{field.column}": _value(field, getattr(row, field.attname)) for field in self._stored
        }

    def parameters(self, rows: Iterable[M]) -> dict[str, list[Any]]:
        """The parameters of `insert`."""
        table, made = self._model._meta.db_table, list(rows)
        return {
            f"{table}_{field.column}": [_value(field, getattr(row, field.attname)) for row in made]
            for field in self._stored
        }


def insert_missing(table: Table[M], rows: Sequence[M], *, unique: Sequence[str]) -> list[tuple[Any, ...]]:
    """Insert rows in one statement, leaving out those whose `unique` columns are there already.

    Returns those columns of each row that was inserted, in the order given. Whoever inserts the same at the same time
    waits for this transaction and then inserts nothing.
    """
    if not rows:
        return []
    names = ", ".join(f'"{name}"' for name in unique)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{table.insert} ON CONFLICT ({names}) DO NOTHING RETURNING {names}", table.parameters(rows)
        )
        return list(cursor.fetchall())


def _array_type(field: models.Field[Any, Any]) -> str:
    """A column's type in an array; JSON travels as text, and lengths are the column's own business."""
    if isinstance(field, models.JSONField):
        return "jsonb"
    return (field.db_type(connection) or "text").split("(")[0]


def _value(field: models.Field[Any, Any], value: Any) -> Any:
    if isinstance(field, models.JSONField):
        return None if value is None else json.dumps(value, cls=field.encoder or DjangoJSONEncoder)
    if isinstance(value, str):
        return str(value)
    return value
