"""Arrangements of pages."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.domain.layouts import HEIGHTS, MOST_PANELS, WIDTHS
from trading.serializers.strict import (
    CountField,
    FlagField,
    ReasonField,
    RequestSerializer,
    TextField,
    WordField,
)


class WidthField(CountField):
    """Columns that a panel may take."""

    def to_internal_value(self, data: Any) -> int:
        width = super().to_internal_value(data)
        if width not in WIDTHS:
            raise serializers.ValidationError(
                f"expected one of {', '.join(map(str, WIDTHS))} columns, was {width}"
            )
        return width


class PanelPlaceRequestSerializer(RequestSerializer):
    """One panel. What is left out is as the page has it."""

    name = TextField(max_length=40)
    width = WidthField(required=False, help_text="columns of 12: " + ", ".join(map(str, WIDTHS)))
    height = WordField(required=False, default="", choices=["", *HEIGHTS])
    folded = FlagField(required=False, default=False)


class LayoutRequestSerializer(RequestSerializer):
    """Panels in their order. Those the page has and this has not stand where the page has them."""

    panels = serializers.ListField(child=PanelPlaceRequestSerializer(), min_length=1, max_length=MOST_PANELS)


class LayoutPublishSerializer(LayoutRequestSerializer):
    """An arrangement for everybody of a role who has none of their own."""

    reason = ReasonField()


class PanelPlaceSerializer(serializers.Serializer[Any]):
    """One panel as it stands, and what may be done with it."""

    name = serializers.CharField()
    title = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.ChoiceField(choices=["", *HEIGHTS], allow_blank=True)
    folded = serializers.BooleanField()
    may_fold = serializers.BooleanField()
    may_resize = serializers.BooleanField()
    scrolls = serializers.BooleanField()


class LayoutSerializer(serializers.Serializer[Any]):
    """A whole page. `source`: one's `own`, the one of one's `role`, or the `page`'s."""

    page = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # DRF's own attribute of this name
    panels = PanelPlaceSerializer(many=True)
    ignored = serializers.ListField(
        child=serializers.CharField(), help_text="names sent that the page does not have"
    )


class RoleLayoutSerializer(LayoutSerializer):
    """What people of a role see who have no arrangement of their own."""

    role = serializers.CharField()
