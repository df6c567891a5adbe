"""Strategies, decisions and the state of the platform on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from nautilus_site.common.api.fields import DecimalTextField, SymbolField
from trading.serializers.controls import BreakerSerializer
from trading.serializers.portfolio import AccountWorthSerializer, WorthSerializer


class StrategyDecisionSerializer(serializers.Serializer[Any]):
    """One step of a strategy. `bar_open_at` is market time, `decided_at` wall time."""

    id = serializers.IntegerField()
    strategy = serializers.CharField()
    account = serializers.CharField()
    symbol = SymbolField()
    trigger = serializers.ChoiceField(choices=["bar", "book"], help_text="why it was stepped")
    bar_open_at = serializers.DateTimeField()
    price = DecimalTextField()
    target = serializers.FloatField(help_text="desired exposure, a signed fraction of the allocation")
    confidence = serializers.FloatField()
    reason = serializers.CharField()
    features = serializers.DictField()
    quotes = serializers.DictField(
        allow_null=True, help_text="bid_price, bid_size, ask_price, ask_size of a market maker; null: none"
    )
    decided_at = serializers.DateTimeField()


class StrategyInstanceSerializer(serializers.Serializer[Any]):
    """A strategy on one symbol of one account: its grant in force and its last decision."""

    id = serializers.IntegerField()
    account = serializers.CharField()
    symbol = SymbolField()
    enabled = serializers.BooleanField()
    weight = DecimalTextField()
    allocation = DecimalTextField()
    in_force_until = serializers.DateTimeField(allow_null=True)
    target = serializers.FloatField(allow_null=True)
    quotes = serializers.DictField(allow_null=True, help_text="the resting quotes it wants; null: none")
    last_bar_at = serializers.DateTimeField(allow_null=True)
    last_decision = StrategyDecisionSerializer(allow_null=True)


class ListingGrantMembersSerializer(serializers.Serializer[Any]):
    """What it may put into each new listing of an account, and into how many in 24 hours."""

    account = serializers.CharField()
    quote_asset = serializers.CharField()
    allocation = DecimalTextField()
    per_day = serializers.IntegerField()


class StrategySerializer(serializers.Serializer[Any]):
    """A strategy and its instances."""

    name = serializers.CharField()
    kind = serializers.CharField()
    interval = serializers.CharField()
    parameters = serializers.DictField()
    enabled = serializers.BooleanField()
    description = serializers.CharField(allow_blank=True)
    updated_at = serializers.DateTimeField()
    instances = StrategyInstanceSerializer(many=True)
    listing_grants = ListingGrantMembersSerializer(many=True)


class DayResultsSerializer(serializers.Serializer[Any]):
    """Today's result and the drawdown, a fraction of the peak; null while the day's start is not known."""

    day_pnl = DecimalTextField(allow_null=True)
    peak_equity = DecimalTextField(allow_null=True)
    drawdown = serializers.FloatField(allow_null=True)
    loaded = serializers.BooleanField(help_text="whether opening balances are booked")


class StatusAccountSerializer(AccountWorthSerializer, DayResultsSerializer):
    """One account in the state of the platform."""


class StatusPortfolioSerializer(WorthSerializer, DayResultsSerializer):
    """Totals in the state of the platform."""

    by_account = StatusAccountSerializer(many=True)


class StatusSerializer(serializers.Serializer[Any]):
    """The state of the platform. Ages are seconds of wall time at `at`."""

    at = serializers.DateTimeField()
    mode = serializers.ChoiceField(choices=["paper", "live"])
    environment = serializers.ChoiceField(choices=["local", "testnet", "demo", "live"])
    trading = serializers.DictField(help_text="level, level_name, meaning, scopes[]")
    breakers = BreakerSerializer(many=True)
    portfolio = StatusPortfolioSerializer()
    orders = serializers.DictField(help_text="open, unknown, by_status")
    strategies = StrategySerializer(many=True)
    workers = serializers.ListField(child=serializers.DictField())
    streams = serializers.ListField(child=serializers.DictField())
    prices = serializers.DictField(help_text="oldest_age_s, count")
    queues = serializers.DictField(
        child=serializers.IntegerField(), allow_null=True, help_text="messages waiting; null: broker is down"
    )
    rate_limits = serializers.ListField(child=serializers.DictField())
    reconcile = serializers.DictField(help_text="lag_s, open_divergences, accounts[]")
    approvals_pending = serializers.IntegerField()
    events = serializers.ListField(child=serializers.DictField(), help_text="the last 20")
