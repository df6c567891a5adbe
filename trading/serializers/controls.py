"""Kill, resume, limits and breakers on the wire."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from nautilus_site.common.api.fields import DecimalTextField
from trading.domain.values import Level
from trading.serializers.orders import LARGEST
from trading.serializers.strict import (
    ExpiryField,
    FlagField,
    ReasonField,
    RequestSerializer,
    TextField,
    WordField,
)

RAISED = [level.name for level in Level if level is not Level.ACTIVE]


class ScopeField(TextField):
    """`global`, `venue:V`, `account:A`, `strategy:N`, `symbol:S`, `strategy_symbol:N:S` or `model:N@V`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=120, **kwargs)


class KillRequestSerializer(RequestSerializer):
    """Stop. `flatten` asks for level FLATTEN: cancel everything, then close the positions of the scope.

    CANCEL leaves protective stops standing unless `include_stops` asks for them too.
    """

    scope = ScopeField(required=False, default="global")
    level = WordField(choices=RAISED, required=False, default=Level.CANCEL.name)
    reason = ReasonField()
    flatten = FlagField(required=False, default=False)
    include_stops = FlagField(required=False, default=False)


class FlattenSerializer(serializers.Serializer[Any]):
    """One position a flatten closes."""

    scope = serializers.CharField()
    account = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.ChoiceField(choices=["BUY", "SELL"])
    position_side = serializers.ChoiceField(choices=["BOTH", "LONG", "SHORT"])
    flatten = serializers.ChoiceField(choices=["working", "done", "stopped"])
    wanted = DecimalTextField()
    closed = DecimalTextField()
    note = serializers.CharField(allow_blank=True)


class KillReportSerializer(serializers.Serializer[Any]):
    """What the exchange has confirmed so far."""

    scope = serializers.CharField()
    level = serializers.ChoiceField(choices=RAISED)
    cancel_requested = serializers.IntegerField()
    open_orders_remaining = serializers.IntegerField(allow_null=True)
    confirmed = serializers.BooleanField()
    elapsed_s = serializers.FloatField()
    flatten = FlattenSerializer(many=True, required=False, help_text="positions being closed")


class ResumeRequestSerializer(RequestSerializer):
    """Ask for a lower level; somebody else decides."""

    scope = ScopeField()
    to_level = WordField(choices=[level.name for level in Level], required=False, default=Level.ACTIVE.name)
    reason = ReasonField()
    expires_in_s = ExpiryField()


class LimitSerializer(serializers.Serializer[Any]):
    """A limit in force; `used` is null where it bounds single orders."""

    name = serializers.CharField()
    scope = serializers.CharField()
    value = DecimalTextField()
    used = DecimalTextField(allow_null=True)
    unit = serializers.CharField()
    policy_version = serializers.IntegerField()
    in_force_until = serializers.DateTimeField(allow_null=True)
    tighter = serializers.ChoiceField(choices=["lower", "higher"])
    description = serializers.CharField()
    changed_by = serializers.CharField()
    changed_at = serializers.DateTimeField()


class LimitChangeSerializer(RequestSerializer):
    """A new value: tighter applies at once, looser becomes a request."""

    value = DecimalTextField(minimum=Decimal(0), maximum=LARGEST)
    scope = ScopeField(required=False, default="global")
    reason = ReasonField()
    expires_in_s = ExpiryField()


class LimitEffectQuerySerializer(RequestSerializer):
    """A value to be held against the last week."""

    value = DecimalTextField(minimum=Decimal(0), maximum=LARGEST)
    scope = ScopeField(required=False, default="global")


class LimitEffectSerializer(serializers.Serializer[Any]):
    """Orders of the last week, judged again by what the rails measured then."""

    name = serializers.CharField()
    scope = serializers.CharField()
    orders_last_7_days = serializers.IntegerField()
    would_have_blocked = serializers.IntegerField()
    would_have_let_through = serializers.IntegerField(help_text="denied then, within this value")
    highest_use = serializers.CharField(
        allow_null=True, help_text="the furthest an order came, of this value"
    )


class BreakerSerializer(serializers.Serializer[Any]):
    """A circuit breaker."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    scope = serializers.CharField()
    state = serializers.ChoiceField(choices=["closed", "open", "half_open"])
    reason = serializers.CharField(allow_blank=True)
    measured = serializers.FloatField(allow_null=True)
    samples = serializers.IntegerField(allow_null=True)
    unit = serializers.CharField()
    action = serializers.ChoiceField(choices=["open", "REDUCING", "HALT_NEW", "CANCEL"])
    reset = serializers.ChoiceField(choices=["auto", "manual"])
    is_enabled = serializers.BooleanField()
    evaluated_at = serializers.DateTimeField(allow_null=True)
    rule = serializers.DictField()
    changed_at = serializers.DateTimeField()
    retry_at = serializers.DateTimeField(allow_null=True)


class ReasonRequestSerializer(RequestSerializer):
    """An immediate change that only needs its reason."""

    reason = ReasonField()


class ReasonedProposalSerializer(RequestSerializer):
    """A change that a second person decides about."""

    reason = ReasonField()
    expires_in_s = ExpiryField()


class ReconcileRequestSerializer(RequestSerializer):
    """Which account; every active one unless said."""

    account = TextField(max_length=40, required=False, allow_null=True, default=None)


class ReconcileRunSerializer(serializers.Serializer[Any]):
    """One comparison of our books with the venue's; `outcome` is null while it is under way."""

    id = serializers.IntegerField()
    account = serializers.CharField()
    sweep = serializers.CharField(help_text="S0 to S5; each contains those before it")
    trigger = serializers.CharField(help_text="start, periodic, gap, manual, nightly")
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    elapsed_s = serializers.FloatField(allow_null=True)
    outcome = serializers.ChoiceField(choices=["clean", "repaired", "divergent", "failed"], allow_null=True)
    report = serializers.DictField()


class DivergenceSerializer(serializers.Serializer[Any]):
    """A difference between our books and the venue's; it stays until something explains it."""

    id = serializers.IntegerField()
    account = serializers.CharField()
    kind = serializers.CharField()
    subject = serializers.CharField()
    ours = serializers.JSONField(allow_null=True)
    theirs = serializers.JSONField(allow_null=True)
    state = serializers.ChoiceField(choices=["seen", "confirmed", "halting", "doubted", "closed"])
    sightings = serializers.IntegerField()
    attempts = serializers.IntegerField(help_text="runs since it was confirmed that could not explain it")
    evidence = serializers.DictField(help_text="what else was read beside the two readings")
    scopes = serializers.ListField(child=serializers.CharField())
    escalated_to = serializers.CharField(allow_null=True)
    adoptable = serializers.BooleanField()
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    confirmed_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolution = serializers.CharField(allow_null=True)


class StatementSerializer(serializers.Serializer[Any]):
    """A signed statement of one account's day (UTC)."""

    id = serializers.IntegerField()
    account = serializers.CharField()
    day = serializers.DateField()
    created_at = serializers.DateTimeField()
    agrees = serializers.BooleanField()
    sha256 = serializers.CharField()
    signature = serializers.CharField(help_text="Ed25519 over the canonical JSON of `content`, base64")
    path = serializers.CharField(help_text="under NAUTILUS_HOME")
    content = serializers.DictField()


class ReconcileStartedSerializer(serializers.Serializer[Any]):
    """The runs that were started."""

    runs = ReconcileRunSerializer(many=True)
