"""Filters whose cost does not grow with the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin import AllValuesFieldListFilter
from django.db.models import BooleanField, Field, Model

NEWEST = 2_000


class NewestValuesFilter(AllValuesFieldListFilter):
    """The values of a column among the newest rows; Django's own filter looks for them in every row."""

    def __init__(self, field: Field[Any, Any], *rest: Any, **named: Any) -> None:
        super().__init__(field, *rest, **named)
        newest = field.model._default_manager.order_by("-pk").values_list(field.name, flat=True)[:NEWEST]
        values = sorted(set(newest), key=lambda value: (value is None, value))
        self.lookup_choices = values  # type: ignore[assignment]  # the stubs know only a query here


def bounded(model: type[Model], names: Sequence[Any]) -> list[Any]:
    """Filters of a list, with the bounded one for plain columns that have no choices of their own."""
    return [_bounded(model, name) for name in names]


def _bounded(model: type[Model], name: Any) -> Any:
    if not isinstance(name, str) or "__" in name:
        return name
    field = model._meta.get_field(name)
    is_plain = isinstance(field, Field) and not field.is_relation and not field.choices
    if not is_plain or isinstance(field, BooleanField) or field.get_internal_type().startswith("Date"):
        return name
    return (name, NewestValuesFilter)
