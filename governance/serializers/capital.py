"""Allocations and the runs that made them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.models import AllocationRun
from trading.serializers.strict import ExpiryField, ReasonField, RequestSerializer

OUTCOMES = AllocationRun.Outcome.values


class AllocationSerializer(serializers.Serializer[Any]):
    """One strategy in one run; `rule` decided, `reason` says how in words and numbers."""

    id = serializers.IntegerField()
    run = serializers.IntegerField()
    at = serializers.DateTimeField()
    strategy = serializers.CharField()
    weight = serializers.FloatField(allow_null=True, help_text="share of the pool the method wants")
    before = serializers.CharField()
    desired = serializers.CharField(help_text="by the method, before pace and limits")
    amount = serializers.CharField(help_text="in force after the run")
    proposed = serializers.CharField(
        allow_null=True, help_text="beyond the envelope: two people may grant it"
    )
    rule = serializers.CharField()
    rule_in_words = serializers.CharField()
    rule_is_set_by = serializers.ListField(
        child=serializers.CharField(), help_text="members of the capital policy"
    )
    reason = serializers.CharField()
    outcome = serializers.ChoiceField(choices=OUTCOMES, help_text="of the run")
    method = serializers.CharField()
    in_force_until = serializers.DateTimeField(allow_null=True)
    policy_version = serializers.IntegerField()


class AllocationRunSerializer(serializers.Serializer[Any]):
    """One decision about all capital."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    trigger = serializers.CharField()
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    method = serializers.CharField()
    equity = serializers.CharField(allow_null=True)
    reserve = serializers.CharField(allow_null=True)
    pool = serializers.CharField(allow_null=True)
    total = serializers.CharField(allow_null=True)
    drawdown = serializers.FloatField(allow_null=True)
    multiplier = serializers.FloatField(allow_null=True)
    in_force_until = serializers.DateTimeField(allow_null=True)
    explanation = serializers.CharField()
    policy_version = serializers.IntegerField()


class LeaderboardSerializer(serializers.Serializer[Any]):
    """One strategy by its hourly returns of market time, a month at most. Sharpe ratios are a year's."""

    rank = serializers.IntegerField(allow_null=True, help_text="by `low`; null while too little is known")
    strategy = serializers.CharField()
    stage = serializers.CharField(allow_null=True, help_text="of a model it follows")
    periods = serializers.IntegerField(help_text="returns it rests on")
    total = serializers.FloatField(help_text="sum of the returns over its own capital, a fraction")
    deepest = serializers.FloatField(help_text="deepest fall from a peak, a fraction")
    sharpe = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(
        allow_null=True, help_text="with `high`: holds for all of them together, 95 %"
    )
    high = serializers.FloatField(allow_null=True)
    probability = serializers.FloatField(
        allow_null=True, help_text="that its true ratio is above zero, deflated for being one of so many"
    )
    verdict = serializers.CharField()


class WhatIfSerializer(RequestSerializer):
    """Members of the capital policy with other values; the rest is as in force."""

    changes = serializers.DictField()


class FlowStrategySerializer(serializers.Serializer[Any]):
    """What one strategy has of the pool."""

    strategy = serializers.CharField()
    amount = serializers.CharField()


class FlowSerializer(serializers.Serializer[Any]):
    """From equity to strategies, quote currency."""

    equity = serializers.CharField()
    reserve = serializers.CharField()
    withheld = serializers.CharField(help_text="neither in reserve nor in the pool")
    pool = serializers.CharField()
    free = serializers.CharField(help_text="in the pool, given to nobody")
    over = serializers.CharField(help_text="given out beyond the pool")
    strategies = FlowStrategySerializer(many=True)


class WhatIfChoiceSerializer(serializers.Serializer[Any]):
    """What one strategy would get, and why; also where that is no change."""

    strategy = serializers.CharField()
    weight = serializers.FloatField(allow_null=True)
    before = serializers.CharField()
    amount = serializers.CharField()
    proposed = serializers.CharField(allow_null=True, help_text="beyond the envelope: for two people")
    rule = serializers.CharField()
    rule_in_words = serializers.CharField()
    rule_is_set_by = serializers.ListField(
        child=serializers.CharField(), help_text="members of the capital policy"
    )
    reason = serializers.CharField()


class WhatIfAnswerSerializer(serializers.Serializer[Any]):
    """What would be decided now; nothing is changed."""

    policy_version = serializers.IntegerField()
    document = serializers.DictField()
    allows_more = serializers.ListField(
        child=serializers.CharField(), help_text="members that need two people"
    )
    explanation = serializers.CharField()
    method = serializers.CharField()
    multiplier = serializers.FloatField()
    drawdown = serializers.FloatField()
    flow = FlowSerializer()
    choices = WhatIfChoiceSerializer(many=True)


class AskSerializer(RequestSerializer):
    """Why, and how long the request stays open."""

    reason = ReasonField()
    expires_in_s = ExpiryField()
