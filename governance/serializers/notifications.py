"""Channels, routes and deliveries on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.domain.notices import SEVERITIES
from governance.domain.receivers import ReceiverKind
from trading.serializers.strict import (
    CountField,
    ExpiryField,
    FlagField,
    ReasonField,
    RequestSerializer,
    TextField,
    WordField,
)

CHANNEL_KINDS = tuple(kind.value for kind in ReceiverKind)
DELIVERY_STATES = ("waiting", "sending", "sent", "failed")


class ChannelSerializer(serializers.Serializer[Any]):
    """A channel; its address is sealed and never shown."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=CHANNEL_KINDS)
    host = serializers.CharField()
    shown = serializers.DictField(help_text="the members that are no secret")
    is_enabled = serializers.BooleanField()
    muted_until = serializers.DateTimeField(allow_null=True)
    failures = serializers.IntegerField(help_text="attempts in a row that failed")
    retry_at = serializers.DateTimeField(allow_null=True)
    last_sent_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(allow_blank=True)
    waiting = serializers.IntegerField(help_text="deliveries that are not sent yet")
    lag_s = serializers.FloatField(help_text="for how long the oldest of them is due, seconds")


class ChannelRequestSerializer(RequestSerializer):
    """A channel to propose. `members` depend on the kind; what is secret among them is sealed at once."""

    name = TextField(max_length=40)
    kind = WordField(choices=CHANNEL_KINDS)
    members = serializers.DictField()
    reason = ReasonField()
    expires_in_s = ExpiryField()


class MuteSerializer(RequestSerializer):
    """Minutes to hold back what is not critical; 0 ends it."""

    minutes = CountField(min_value=0)
    reason = ReasonField()


class ReasonedSerializer(RequestSerializer):
    """Why."""

    reason = ReasonField()
    expires_in_s = ExpiryField()


class RouteSerializer(serializers.Serializer[Any]):
    """Which notices a channel gets; the most narrow route decides."""

    id = serializers.IntegerField()
    channel = serializers.CharField()
    kind = serializers.CharField()
    severity = serializers.ChoiceField(choices=list(SEVERITIES))
    digest_s = serializers.IntegerField()
    dedupe_s = serializers.IntegerField()
    is_enabled = serializers.BooleanField()
    changed_by = serializers.CharField()
    changed_at = serializers.DateTimeField()


class RouteRequestSerializer(RequestSerializer):
    """A route to make or change; what is left out stays as it is."""

    channel = TextField(max_length=40)
    kind = TextField(max_length=80)
    severity = WordField(choices=list(SEVERITIES), required=False)
    digest_s = CountField(required=False, min_value=0)
    dedupe_s = CountField(required=False, min_value=0)
    is_enabled = FlagField(required=False)
    reason = ReasonField()
    expires_in_s = ExpiryField()


class DeliverySerializer(serializers.Serializer[Any]):
    """One notice on its way to one channel."""

    id = serializers.IntegerField()
    channel = serializers.CharField()
    kind = serializers.CharField()
    severity = serializers.ChoiceField(choices=list(SEVERITIES))
    title = serializers.CharField()
    text = serializers.CharField(allow_blank=True)
    link = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(choices=DELIVERY_STATES)
    event_id = serializers.IntegerField(allow_null=True)
    event_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    retry_at = serializers.DateTimeField(allow_null=True, help_text="after a failure: when it is tried again")
    sent_at = serializers.DateTimeField(allow_null=True)
    lag_s = serializers.FloatField(allow_null=True, help_text="from the event to having been sent, seconds")
    attempts = serializers.IntegerField()
    repeats = serializers.IntegerField(help_text="how often the same news came again and was not sent")
    error = serializers.CharField(allow_blank=True)
