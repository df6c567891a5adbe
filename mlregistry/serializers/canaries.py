"""Canaries on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from trading.serializers.strict import RequestSerializer, TextField

CANARY_STATES = ["running", "won", "harmed", "breached", "ended"]


class RailSerializer(serializers.Serializer[Any]):
    """One guard rail as last measured."""

    name = serializers.CharField()
    measured = serializers.FloatField(allow_null=True)
    limit = serializers.FloatField()
    breached = serializers.BooleanField()


class StandingSerializer(serializers.Serializer[Any]):
    """How far a running canary is."""

    steps = serializers.IntegerField()
    share = serializers.FloatField(help_text="of the champion's capital, in this step")
    dwell_left_s = serializers.FloatField(help_text="until this step may grow or win")
    fills = serializers.IntegerField(help_text="in this step")
    fills_needed = serializers.IntegerField()
    ends_in_s = serializers.FloatField(help_text="it ends without a winner then")
    next_pair_in_s = serializers.FloatField(allow_null=True)
    pairs_needed = serializers.IntegerField(help_text="before the test speaks")
    wins_at = serializers.FloatField(help_text="log e, with this canary's part of alpha")
    grows_at = serializers.FloatField(allow_null=True)
    harms_at = serializers.FloatField(help_text="log e of the mirrored test")


class CanarySerializer(serializers.Serializer[Any]):
    """A version trading a capped part of its champion's capital, paired with it."""

    id = serializers.UUIDField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    version_id = serializers.IntegerField()
    champion = serializers.IntegerField()
    strategy = serializers.CharField()
    champion_strategy = serializers.CharField()
    state = serializers.ChoiceField(choices=CANARY_STATES)
    rules = serializers.JSONField()
    capital = serializers.CharField()
    champion_capital = serializers.CharField()
    step = serializers.IntegerField(help_text="1: the first share; 2: the ramp's")
    step_at = serializers.DateTimeField()
    intervals = serializers.IntegerField(help_text="paired observations so far")
    log_e = serializers.FloatField(allow_null=True)
    best_log_e = serializers.FloatField()
    harm_log_e = serializers.FloatField()
    p_value = serializers.FloatField(help_text="always valid: looking as often as one likes is allowed")
    low = serializers.FloatField(allow_null=True, help_text="confidence sequence of the mean difference")
    high = serializers.FloatField(allow_null=True)
    standing = StandingSerializer(allow_null=True, help_text="null: it is over")
    rails = RailSerializer(many=True)
    reason = serializers.CharField()
    started_at = serializers.DateTimeField()
    checked_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    cool_until = serializers.DateTimeField(allow_null=True)


class ExtendRequestSerializer(RequestSerializer):
    """More time for a canary that is not decided; its other rules stay."""

    more_s = serializers.FloatField(help_text="seconds beyond the end it has now; two years in all at most")
    reason = TextField(max_length=500)


class CanaryObservationSerializer(serializers.Serializer[Any]):
    """One interval, net returns on each one's capital."""

    from_at = serializers.DateTimeField()
    to_at = serializers.DateTimeField()
    canary_return = serializers.FloatField()
    champion_return = serializers.FloatField(help_text="its symbols weighted by the canary's capital in them")
    log_e = serializers.FloatField(allow_null=True)
    harm_log_e = serializers.FloatField(allow_null=True)


class CanaryDetailSerializer(CanarySerializer):
    """A canary with every paired observation."""

    observations = CanaryObservationSerializer(many=True)
