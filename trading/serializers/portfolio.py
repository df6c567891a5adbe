"""Accounts, balances, positions, portfolio and equity on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from nautilus_site.common.api.fields import DecimalTextField, SymbolField


class AccountSerializer(serializers.Serializer[Any]):
    """An account at a venue."""

    name = serializers.CharField()
    venue = serializers.CharField()
    market = serializers.ChoiceField(choices=["spot", "usdm"])
    environment = serializers.CharField()
    active = serializers.BooleanField()
    opened_at = serializers.DateTimeField(allow_null=True)
    reconciled_at = serializers.DateTimeField(allow_null=True)


class BalanceSerializer(serializers.Serializer[Any]):
    """What our ledger holds of an asset, and what the venue last said."""

    account = serializers.CharField()
    asset = serializers.CharField()
    free = DecimalTextField()
    locked = DecimalTextField(help_text="promised to orders that are not over yet")
    venue_free = DecimalTextField()
    venue_locked = DecimalTextField()
    venue_seen_at = serializers.DateTimeField(allow_null=True)


class PositionSerializer(serializers.Serializer[Any]):
    """Net quantity of a symbol, valued at the middle of bid and ask; null where there is no price."""

    account = serializers.CharField()
    symbol = SymbolField()
    position_side = serializers.ChoiceField(choices=["BOTH", "LONG", "SHORT"])
    quantity = DecimalTextField(help_text="signed, base units")
    entry_price = DecimalTextField(allow_null=True)
    mark_price = DecimalTextField(allow_null=True)
    unrealized_pnl = DecimalTextField(allow_null=True)
    realized_pnl = DecimalTextField(help_text="before commission")
    fees = DecimalTextField()
    funding = DecimalTextField()
    market_value = DecimalTextField()
    dust = serializers.BooleanField(help_text="too little for the venue to trade; stays until more is bought")
    mark_received_at = serializers.DateTimeField(allow_null=True)
    updated_at = serializers.DateTimeField(allow_null=True)


class StrategyWorthSerializer(serializers.Serializer[Any]):
    """One owner's part of the positions; null: people and adopted orders; `@netting`: what lies between owners."""

    strategy = serializers.CharField(allow_null=True)
    exposure_gross = DecimalTextField()
    exposure_net = DecimalTextField()
    unrealized_pnl = DecimalTextField()
    realized_pnl = DecimalTextField()
    fees = DecimalTextField()
    funding = DecimalTextField(help_text="paid for holding contracts; negative: received")
    net_pnl = DecimalTextField(help_text="realised and unrealised, less fees and funding")


class WorthSerializer(serializers.Serializer[Any]):
    """Sums in USDT. Equity is cash, the market value of holdings and the unrealised result of contracts."""

    equity = DecimalTextField()
    cash = DecimalTextField()
    available = DecimalTextField(help_text="cash not promised to open orders")
    market_value = DecimalTextField()
    exposure_gross = DecimalTextField()
    exposure_net = DecimalTextField()
    unrealized_pnl = DecimalTextField()
    realized_pnl = DecimalTextField(help_text="before commission")
    fees = DecimalTextField()
    funding = DecimalTextField(help_text="paid for holding contracts; negative: received")
    margin_used = DecimalTextField(help_text="initial margin of open contracts")
    unpriced = serializers.ListField(
        child=serializers.CharField(), help_text="assets without a price: counted as nothing"
    )


class AccountWorthSerializer(WorthSerializer):
    """The same sums for one account."""

    account = serializers.CharField()


class PortfolioSerializer(WorthSerializer):
    """Totals, by account and by strategy."""

    by_account = AccountWorthSerializer(many=True)
    by_strategy = StrategyWorthSerializer(many=True)


class EquityPointSerializer(serializers.Serializer[Any]):
    """Equity at a moment; `market_at` is the venue's market time."""

    at = serializers.DateTimeField()
    market_at = serializers.DateTimeField(allow_null=True)
    equity = DecimalTextField()
    cash = DecimalTextField()
    market_value = DecimalTextField()
    unrealized_pnl = DecimalTextField()
    realized_pnl = DecimalTextField()
    fees = DecimalTextField()


class EquitySeriesSerializer(serializers.Serializer[Any]):
    """A series for charts: newest first like every list, thinned to `points`, in one page."""

    results = EquityPointSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
