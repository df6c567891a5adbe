"""What operators want: every form goes through a service, and what raises risk waits for a second person."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from nautilus_site.common.admin import GovernedAdmin
from nautilus_site.common.admin.site import may_open_admin
from nautilus_site.common.errors import ApplicationError, Forbidden
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.powers import person_may
from trading.admin.research import backtest_selected, may_run
from trading.domain.values import Level
from trading.forms import AllowanceForm, BlackoutForm, GroupForm, NewBlackoutForm, ReasonForm, StateForm
from trading.models import (
    Blackout,
    BreakerPolicy,
    CircuitBreaker,
    CorrelationGroup,
    RiskLimit,
    Strategy,
    StrategyInstance,
    SymbolAllowance,
    TradingState,
)
from trading.models.breakers import RULE_FIELDS
from trading.services.breakers import breaker_force_open, breaker_reset_request, breaker_rule_change
from trading.services.controls import (
    kill_raise,
    limit_change,
    resume_request,
    symbol_disallow,
)
from trading.services.controls.blackouts import blackout_end_request, blackout_set
from trading.services.controls.groups import group_change
from trading.services.strategies import grant_change, grant_raises, strategy_disable, strategy_enable_request


def acting(request: HttpRequest, permission: str) -> User:
    """Who is acting, once their role allows it. A superuser flag counts for nothing."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    if not person_may(request.user, permission):
        raise Forbidden("PERMISSION_DENIED", f"your role lacks the permission {permission}")
    return request.user


class IntentAdmin(GovernedAdmin):
    """A governed object: no add, no delete, no bulk edit; its form calls a service and saves nothing."""

    form = ReasonForm
    actions: Any = None
    list_editable = ()


@admin.register(RiskLimit)
class RiskLimitAdmin(IntentAdmin):
    """A tighter value applies at once, a looser one becomes a request."""

    governed_fields = ("value",)
    list_display = ("name", "scope", "value", "unit", "tighter", "in_force_until", "changed_by", "changed_at")
    list_filter = ("name", "unit")
    search_fields = ("=name", "=scope")
    ordering = ("name", "scope")

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        value = Decimal(payload["value"])
        before = RiskLimit.objects.get(pk=obj.pk)
        loosens = value > before.value if before.tighter == "lower" else value < before.value
        actor = acting(request, "risk.propose" if loosens else "limits.tighten")
        return request_or_none(
            limit_change(name=before.name, scope=before.scope, value=value, reason=reason, actor=actor)
        )


@admin.register(Strategy)
class StrategyAdmin(IntentAdmin):
    """Switching off is immediate, switching on is a request. Parameters are shown."""

    change_permission = "strategies.disable"
    governed_fields = ("is_enabled",)
    list_display = ("name", "kind", "interval", "is_enabled", "updated_at")
    list_filter = ("is_enabled", "kind", "interval")
    search_fields = ("name",)
    ordering = ("name",)

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        if payload["is_enabled"]:
            requester = acting(request, "risk.propose")
            return strategy_enable_request(name=obj.name, requester=requester, reason=reason)
        strategy_disable(name=obj.name, actor=acting(request, "strategies.disable"), reason=reason)
        return None


@admin.register(StrategyInstance)
class StrategyInstanceAdmin(IntentAdmin):
    """Less weight or capital applies at once, more of either is a request."""

    change_permission = "strategies.disable"
    governed_fields = ("weight", "allocation")
    actions = (backtest_selected,)
    list_display = (
        "strategy",
        "account",
        "instrument",
        "is_enabled",
        "weight",
        "allocation",
        "target",
        "last_bar_at",
    )
    list_filter = ("strategy", "account", "is_enabled")
    list_select_related = ("strategy", "account", "instrument")
    search_fields = ("=strategy__name", "=instrument__symbol")
    ordering = ("strategy__name", "instrument__symbol", "pk")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return super().get_actions(request) if may_run(request) else {}

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        # The form has put the new values on `obj`; what they are compared with is what is stored.
        stored = StrategyInstance.objects.select_related("strategy", "instrument").get(pk=obj.pk)
        weight = Decimal(payload.get("weight", stored.weight))
        allocation = Decimal(payload.get("allocation", stored.allocation))
        raises = grant_raises(stored, weight=weight, allocation=allocation)
        actor = acting(request, "capital.propose" if raises else "strategies.disable")
        return request_or_none(
            grant_change(instance=stored, weight=weight, allocation=allocation, actor=actor, reason=reason)
        )


@admin.register(TradingState)
class TradingStateAdmin(IntentAdmin):
    """Raising a level is immediate, lowering it is a request."""

    form = StateForm
    change_permission = "kill.raise:own_model"
    governed_fields = ("level",)
    list_display = ("scope", "level", "reason_given", "changed_by", "changed_at")
    list_filter = ("level",)
    search_fields = ("scope",)
    ordering = ("scope",)
    fields = ("scope", "level", "reason_given", "changed_by", "changed_at", "version", "reason")
    readonly_fields = ("reason_given",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # The form's reason is the one for the change; the stored one is shown beside it.
        return [name for name in super().get_readonly_fields(request, obj) if name != "reason"]

    @admin.display(description="reason of the present level")
    def reason_given(self, state: TradingState) -> str:
        return TradingState.objects.values_list("reason", flat=True).get(pk=state.pk)

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        level = Level(int(payload["level"]))
        if level < Level(TradingState.objects.values_list("level", flat=True).get(pk=obj.pk)):
            requester = acting(request, "kill.resume")
            return resume_request(scope=obj.scope, to_level=level, reason=reason, requester=requester)
        actor = acting(request, self.change_permission)
        kill_raise(scope=obj.scope, level=level, reason=reason, actor=actor)
        return None


@admin.register(CircuitBreaker)
class CircuitBreakerAdmin(IntentAdmin):
    """Opening one by hand is immediate, closing it is a request; its rule is shown and has a page of its own."""

    change_permission = "kill.raise"
    governed_fields: tuple[str, ...] = ("state",)
    list_display: tuple[str, ...] = (
        "name",
        "scope",
        "state",
        "measured",
        "threshold",
        "unit",
        "reason",
        "changed_at",
        "retry_at",
    )
    list_filter: tuple[str, ...] = ("state", "name")
    search_fields = ("=name", "=scope")
    ordering = ("name", "scope")
    fields: tuple[str, ...] = (
        *("name", "scope", "state", *RULE_FIELDS, "unit"),
        *("measured", "samples", "evaluated_at", "changed_at", "retry_at", "reason"),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [name for name in super().get_readonly_fields(request, obj) if name != "reason"]

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        if payload["state"] == CircuitBreaker.State.OPEN:
            breaker_force_open(breaker_id=obj.pk, actor=acting(request, "kill.raise"), reason=reason)
            return None
        if payload["state"] == CircuitBreaker.State.HALF_OPEN:
            raise ApplicationError("INVALID_STATE", "a breaker becomes half-open by itself; ask for closed")
        return breaker_reset_request(
            breaker_id=obj.pk, requester=acting(request, "breakers.reset"), reason=reason
        )


@admin.register(BreakerPolicy)
class BreakerPolicyAdmin(CircuitBreakerAdmin):
    """What tightens a rule applies at once; what loosens it, and any other window, becomes a request."""

    change_permission = "risk.propose"
    governed_fields = RULE_FIELDS
    list_display = ("name", "scope", "is_enabled", *RULE_FIELDS[1:], "unit")
    list_filter = ("is_enabled", "action", "reset", "name")

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        actor = acting(request, "risk.propose")
        return request_or_none(
            breaker_rule_change(breaker_id=obj.pk, values=payload, actor=actor, reason=reason)
        )


class AddedIntentAdmin(IntentAdmin):
    """What is put here at once by those who may, and changed or ended like all intent."""

    add_permission: str
    add_fields: tuple[str, ...]

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return may_open_admin(request) and person_may(request.user, self.add_permission)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else self.add_fields

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The audit trail has it."""

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        return HttpResponseRedirect(reverse(f"admin:trading_{self.opts.model_name}_changelist"))


@admin.register(Blackout)
class BlackoutAdmin(AddedIntentAdmin):
    """Setting a window is immediate; one that is set can only be ended, by request."""

    form = BlackoutForm
    add_permission = "kill.raise"
    governed_fields = ("end_now",)
    list_display = ("scope", "starts_at", "ends_at", "why", "created_by", "ended_at", "ended_by")
    list_filter = ("starts_at",)
    search_fields = ("scope",)
    ordering = ("-starts_at", "-pk")
    fields = (
        *("scope", "starts_at", "ends_at", "why", "created_by", "created_at", "ended_at", "ended_by"),
        *("end_now", "reason"),
    )
    add_fields = ("scope", "starts_at", "ends_at", "reason")
    readonly_fields = ("why",)

    @admin.display(description="set because")
    def why(self, window: Blackout) -> str:
        return Blackout.objects.values_list("reason", flat=True).get(pk=window.pk)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = self.form if obj else NewBlackoutForm
        return super().get_form(request, obj, change=change, **{**kwargs, "form": form})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # The form's reason is the one for ending it; the stored one is shown beside it.
        names = super().get_readonly_fields(request, obj) if obj else []
        return [name for name in names if name != "reason"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        values = form.cleaned_data
        try:
            window = blackout_set(
                scope=values["scope"],
                starts_at=values["starts_at"],
                ends_at=values["ends_at"],
                reason=values["reason"],
                actor=acting(request, "kill.raise"),
            )
        except ApplicationError as error:
            messages.error(request, error.message)
            return
        obj.pk = window.pk
        messages.success(request, "The blackout is set.")

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        requester = acting(request, "risk.propose")
        return blackout_end_request(blackout_id=obj.pk, requester=requester, reason=reason)


@admin.register(CorrelationGroup)
class CorrelationGroupAdmin(AddedIntentAdmin):
    """A symbol that joins counts at once; one that leaves is a request."""

    form = GroupForm
    add_permission = "limits.tighten"
    governed_fields = ("symbols",)
    list_display = ("name", "symbols", "changed_by", "changed_at")
    search_fields = ("name",)
    ordering = ("name",)
    add_fields = ("name", "symbols", "reason")
    fields = ("name", "symbols", "changed_by", "changed_at", "reason")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return super().get_readonly_fields(request, obj) if obj else []

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        values = form.cleaned_data
        try:
            made = group_change(
                name=values["name"],
                symbols=values["symbols"],
                reason=values["reason"],
                actor=acting(request, self.add_permission),
            )
        except ApplicationError as error:
            messages.error(request, error.message)
            return
        messages.success(request, f"{made} is in force.")

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        joins = set(CorrelationGroup.objects.get(pk=obj.pk).symbols) <= set(payload["symbols"])
        actor = acting(request, "limits.tighten" if joins else "risk.propose")
        return request_or_none(
            group_change(name=obj.name, symbols=payload["symbols"], reason=reason, actor=actor)
        )


@admin.register(SymbolAllowance)
class SymbolAllowanceAdmin(IntentAdmin):
    """Taking a symbol off the list is immediate; putting one on is proposed through the approvals API."""

    form = AllowanceForm
    change_permission = "kill.raise"
    governed_fields = ("removed",)
    list_display = ("account", "instrument", "added_by", "added_at")
    list_filter = ("account",)
    list_select_related = ("account", "instrument", "added_by")
    search_fields = ("=instrument__symbol",)
    fields = ("account", "instrument", "added_by", "added_at", "removed", "reason")

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        symbol_disallow(
            account=obj.account,
            instrument=obj.instrument,
            actor=acting(request, "kill.raise"),
            reason=reason,
        )
        return None


def request_or_none(outcome: Any) -> ChangeRequest | None:
    """The request a service made of a change, or None where it was carried out at once."""
    return outcome if isinstance(outcome, ChangeRequest) else None
