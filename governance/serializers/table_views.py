"""Views of tables on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.models import TableView
from trading.serializers.strict import FlagField, RequestSerializer, TextField


class TableStateSerializer(serializers.Serializer[Any]):
    """What differs from the table as it comes; the rest is left out."""

    find = serializers.CharField(required=False, help_text="text that some cell of a row holds")
    sort = serializers.CharField(required=False, help_text="a column's key; -key: descending")
    hide = serializers.ListField(child=serializers.CharField(), required=False, help_text="keys of columns")
    filters = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="filters of the page by name"
    )


class TableViewSerializer(serializers.Serializer[Any]):
    """A named view of a table."""

    id = serializers.IntegerField()
    table = serializers.CharField(help_text="page and table, such as orders.fills")
    name = serializers.CharField()
    owner = serializers.CharField()
    mine = serializers.BooleanField()
    shared = serializers.BooleanField(help_text="everybody finds it")
    default = serializers.BooleanField(help_text="the table opens with it for the asker")
    state = TableStateSerializer()
    changed_at = serializers.DateTimeField()


class TableViewsSerializer(serializers.Serializer[Any]):
    """All of them on one page."""

    results = TableViewSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


class StateField(serializers.JSONField):
    """Any JSON here: its members are checked against the table it belongs to."""


class TableViewRequestSerializer(RequestSerializer):
    """A new view."""

    table = TextField(max_length=64)
    name = TextField(max_length=TableView.LONGEST_NAME)
    state = StateField()
    shared = FlagField(default=False)
    default = FlagField(default=False)


class TableViewChangeSerializer(RequestSerializer):
    """What to change; what is left out stays. `default` is the asker's own, also of a view that somebody shares."""

    name = TextField(max_length=TableView.LONGEST_NAME, required=False)
    state = StateField(required=False)
    shared = FlagField(required=False)
    default = FlagField(required=False)
