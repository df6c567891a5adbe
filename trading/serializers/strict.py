"""Request bodies that are taken at their word: no unknown members, no coercion between types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from nautilus_site.common.errors import ApplicationError


class RequestSerializer(serializers.Serializer[Any]):
    """Refuses members it does not know: a misspelt `reduce_only` must not become an order that opens."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise ApplicationError(
                    "UNKNOWN_FIELD",
                    f"{unknown[0]}: no such member; known are {', '.join(self.fields)}",
                    extra={"errors": {name: ["no such member"] for name in unknown}},
                )
        return super().to_internal_value(data)


class TextField(serializers.CharField):
    """Text that arrived as text; a number or a boolean is refused, not spelled out."""

    default_error_messages = {"invalid": "expected text"}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """true or false; `"yes"`, 1 and null are refused."""

    default_error_messages = {"invalid": "expected true or false"}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class WordField(serializers.ChoiceField):
    """One word of a list, spelled exactly so."""

    default_error_messages = {"invalid_choice": "expected one of {expected}"}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", expected=", ".join(str(choice) for choice in self.choices))
        return data


class CountField(serializers.IntegerField):
    """A whole number that arrived as a number."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class ReasonField(TextField):
    """Why; kept in the audit trail. Never empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2000, help_text="kept in the audit trail", **kwargs)


class ExpiryField(CountField):
    """How long a request that needs a second person stays open: 1 s to 7 days, 24 hours unless said."""

    def __init__(self) -> None:
        super().__init__(required=False, min_value=1, max_value=7 * 24 * 3600, help_text="seconds")
