"""What the address of an admin list may ask: the filters it declares, and nothing else."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ListFilter
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest
from unfold.admin import ModelAdmin


class DeclaredLookups(ModelAdmin):
    """Answers lookups on the fields of `list_filter` and `date_hierarchy`.

    Django answers a lookup on every column of the table itself. A list then tells, row by row, whether a column it
    never shows begins with some letters: a password's hash or a token's digest is read off it in minutes.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        asked = _columns(self.model, lookup)
        return (asked or (lookup,)) in self._declared(request)

    def _declared(self, request: HttpRequest | None) -> set[tuple[str, ...]]:
        declared: set[tuple[str, ...]] = set()
        filters = self.get_list_filter(request) if request is not None else self.list_filter
        for item in [*filters, *filter(None, [self.date_hierarchy])]:
            if isinstance(item, type) and issubclass(item, ListFilter):
                declared.add((str(getattr(item, "parameter_name", "")),))
                continue
            path = _columns(self.model, item if isinstance(item, str) else item[0])
            declared.add(path)
            declared.add((*path, *_key(self.model, path)))
        return declared


def _columns(model: type[Model], lookup: str) -> tuple[str, ...]:
    """The fields a lookup goes through, by name, without its transforms. Empty: it begins with no field."""
    names: list[str] = []
    for part in lookup.split(LOOKUP_SEP):
        try:
            field: Any = model._meta.pk if part == "pk" else model._meta.get_field(part)
        except FieldDoesNotExist:
            break
        names.append(field.name)
        if not getattr(field, "path_infos", None):
            break
        model = field.path_infos[-1].to_opts.model
    return tuple(names)


def _key(model: type[Model], path: tuple[str, ...]) -> tuple[str, ...]:
    """What the filter of a relation compares: the key of the rows it leads to. Empty: it is no relation."""
    field: Any = None
    for name in path:
        field = model._meta.get_field(name)
        if getattr(field, "path_infos", None):
            model = field.path_infos[-1].to_opts.model
    return (field.target_field.name,) if field is not None and field.is_relation else ()
