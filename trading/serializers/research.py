"""Research jobs and kinds of strategies on the wire."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from nautilus_site.common.api.fields import DecimalTextField, SymbolField
from trading.domain.clock import interval_ns
from trading.domain.research.outcomes import SCORES
from trading.models import ResearchJob
from trading.serializers.strict import CountField, FlagField, RequestSerializer, TextField, WordField

_CHOICES_OF_KIND = ResearchJob.Kind.choices


class IntervalField(TextField):
    """An interval the venue has, such as `1m` or `4h`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=4, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            interval_ns(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None
        return text


class ParametersField(serializers.DictField):
    """Parameters by name: numbers, true or false, or text."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().to_internal_value(data)
        for name, value in found.items():
            if isinstance(value, Decimal):  # what JSON's numbers with a fraction are read as
                found[name] = float(value)
            elif not isinstance(value, (bool, int, float, str)):
                raise serializers.ValidationError(f"{name}: expected a number, true, false or text")
        return found


class LegSerializer(RequestSerializer):
    """A strategy beside the first one; without a share it has what the others leave, in equal parts."""

    strategy = TextField(max_length=120, help_text="a name, see GET /strategy-kinds")
    symbol = SymbolField()
    params = ParametersField(required=False, default=dict)
    share = DecimalTextField(required=False, positive=True, maximum=Decimal(1))


class WalkSerializer(RequestSerializer):
    """How to walk forward: choose on `train` bars, trade the `test` bars after them, move on."""

    train = CountField(min_value=1, max_value=100_000_000)
    test = CountField(min_value=1, max_value=100_000_000)
    mode = WordField(choices=["rolling", "anchored"], required=False, default="rolling")
    purge = CountField(required=False, default=1, min_value=0, max_value=1_000_000)
    embargo = CountField(required=False, allow_null=True, default=None, min_value=0, max_value=1_000_000)
    seed = CountField(required=False, default=1, min_value=0, max_value=2**31)


class LookaheadSerializer(RequestSerializer):
    """Test for look-ahead on the newest bars, cut off and changed at some places."""

    bars = CountField(required=False, default=2_000, min_value=50, max_value=200_000)
    cuts = CountField(required=False, default=40, min_value=2, max_value=1_000)
    seed = CountField(required=False, default=1, min_value=0, max_value=2**31)


class RunLimitsSerializer(RequestSerializer):
    """Limits a run is judged by: those in force on an account when it is asked for, and some set for the run alone."""

    account = TextField(max_length=80, required=False, allow_blank=True, default="")
    values = ParametersField(required=False, default=dict, help_text="by name, as GET /limits names them")


class JobRequestSerializer(RequestSerializer):
    """What to run: one backtest; with a `grid` a sweep over every combination; with `walk` as well a walk-forward.

    With `lookahead` it is a test whether the strategy knows the future; that has no report.
    """

    strategy = TextField(max_length=120, help_text="a name, see GET /strategy-kinds")
    symbol = SymbolField()
    interval = IntervalField()
    market = WordField(choices=["spot", "usdm"], required=False, default="spot")
    start = serializers.DateTimeField(required=False, allow_null=True, default=None)
    end = serializers.DateTimeField(required=False, allow_null=True, default=None)
    params = ParametersField(required=False, default=dict)
    cash = DecimalTextField(required=False, positive=True)
    quantity = DecimalTextField(required=False, positive=True, allow_null=True)
    allocation = DecimalTextField(
        required=False, positive=True, allow_null=True, help_text="quote currency at full exposure"
    )
    limits = RunLimitsSerializer(required=False, allow_null=True, default=None)
    fill = WordField(choices=["next_open", "same_close"], required=False, default="next_open")
    long_only = FlagField(required=False, default=False)
    fee_bps = DecimalTextField(required=False, allow_null=True)
    slippage_bps = DecimalTextField(required=False)
    impact = DecimalTextField(required=False)
    leverage = DecimalTextField(required=False, positive=True)
    latency_bars = CountField(required=False, default=0, min_value=0, max_value=1000)
    grid = serializers.ListField(
        child=TextField(max_length=200),
        required=False,
        default=list,
        max_length=12,
        help_text="such as fast=5:50:5; both ends included",
    )
    walk = WalkSerializer(required=False, allow_null=True, default=None)
    lookahead = LookaheadSerializer(required=False, allow_null=True, default=None)
    score = WordField(choices=sorted(SCORES), required=False, default="sharpe", help_text="what is best")
    engine = WordField(choices=["auto", "python", "compiled"], required=False, default="auto")
    share = DecimalTextField(
        required=False, positive=True, maximum=Decimal(1), help_text="of the capital, where there are legs"
    )
    legs = LegSerializer(
        many=True,
        required=False,
        default=list,
        help_text="further strategies on the same account; no grid then",
    )
    title = TextField(max_length=120, required=False, allow_blank=True, default="")


class JobSerializer(serializers.Serializer[Any]):
    """A research job. `figures` are those of the part that was run until `state` is `done`."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=_CHOICES_OF_KIND)
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=ResearchJob.State.choices)
    progress = serializers.FloatField(help_text="0 to 1")
    done = serializers.IntegerField()
    total = serializers.IntegerField(help_text="bars, moments or configurations; 0 until known")
    partial = serializers.BooleanField()  # type: ignore[assignment]  # the member is called so
    strategy = serializers.CharField()
    symbol = SymbolField()
    interval = serializers.CharField()
    request = serializers.DictField()
    figures = serializers.DictField()
    notes = serializers.ListField(child=serializers.CharField())
    error = serializers.CharField(allow_blank=True)
    engine = serializers.CharField(allow_blank=True)
    elapsed_s = serializers.FloatField()
    same_as = serializers.UUIDField(allow_null=True, help_text="whose result this is")
    requested_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    command = serializers.CharField(help_text="gives the same result on a machine with the same bars")
    report_url = serializers.CharField(allow_null=True)


class ComparisonSerializer(serializers.Serializer[Any]):
    """Runs side by side, the first one as the measure of the others."""

    columns = serializers.ListField(child=serializers.CharField())
    rows = serializers.ListField(child=serializers.DictField())


class StrategyKindSerializer(serializers.Serializer[Any]):
    """A strategy that can be chosen by name; `parameters` is a JSON schema, null where it cannot be used."""

    name = serializers.CharField()
    source = serializers.ChoiceField(  # type: ignore[assignment]  # the member is called so
        choices=["built in", "home", "package"]
    )
    origin = serializers.CharField(allow_blank=True)
    description = serializers.CharField(allow_blank=True)
    parameters = serializers.DictField(allow_null=True)
    compiled = serializers.BooleanField()
    error = serializers.CharField(allow_blank=True)
