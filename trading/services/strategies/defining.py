"""What a strategy is: its kind, interval, parameters and symbols.

Defining one risks nothing: it begins switched off and without capital, and both take a second person. What an
enabled strategy decides by changes only by two people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.outbox import publish
from trading.domain.clock import interval_ns
from trading.domain.strategies.catalogue import StrategyLoadError
from trading.domain.strategies.parameters import ParameterError, parse_params
from trading.models import Account, Strategy, StrategyInstance
from trading.services.models import champion_of
from trading.services.strategies.switching import strategy_locked
from trading.services.strategy_kinds import strategy_load
from universe.models import Instrument

RESERVED_NAMES = frozenset({"signal", "weights", "promote", "routing", "people", "netting"})
"""Words of the routes and of the books; a strategy called so could not be reached, or be told from them."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a strategy decides by. `parameters` are those that differ from their defaults or were given."""

    kind: str
    interval: str
    parameters: Mapping[str, Any]
    model_family: str = ""

    def diff(self, other: Definition) -> dict[str, list[Any]]:
        """Members and parameters that differ, each as [here, there]."""
        found: dict[str, list[Any]] = {}
        for name in ("kind", "interval", "model_family"):
            if getattr(self, name) != getattr(other, name):
                found[name] = [getattr(self, name), getattr(other, name)]
        for name in sorted({*self.parameters, *other.parameters}):
            before, after = self.parameters.get(name), other.parameters.get(name)
            if before != after:
                found[f"parameters.{name}"] = [before, after]
        return found


@dataclass(frozen=True, slots=True)
class Place:
    """A symbol of an account."""

    account: str
    symbol: str


@transaction.atomic
def strategy_define(
    *,
    name: str,
    definition: Definition,
    description: str,
    places: Sequence[Place],
    actor: User,
    reason: str,
) -> Strategy:
    """Create a strategy, switched off, its instances without capital.

    Raises
    ------
    ApplicationError : INVALID_VALUE with what is wrong, REASON_REQUIRED.
    Conflict : STRATEGY_EXISTS, SYMBOL_TAKEN.  NotFound : UNKNOWN_ACCOUNT, UNKNOWN_SYMBOL, UNKNOWN_MODEL.
    """
    _require(reason)
    if name in RESERVED_NAMES:
        raise ApplicationError("INVALID_VALUE", f"name: {name!r} is a reserved word")
    clean = definition_clean(definition)
    if Strategy.objects.filter(name=name).exists():
        raise Conflict("STRATEGY_EXISTS", f"a strategy is called {name!r} already")
    strategy = Strategy(name=name, description=description, owner=actor, updated_at=now())
    _write(strategy, clean)
    strategy.save()
    audit_record(
        action="strategy.defined",
        target=f"strategy:{name}",
        actor=actor,
        reason=reason,
        after={**asdict(clean), "symbols": [f"{place.account}:{place.symbol}" for place in places]},
    )
    for place in places:
        _instance_create(strategy, place)
    publish("trading_state", {"strategy": name, "enabled": False})
    return strategy


def strategy_redefine(
    *,
    name: str,
    changes: Mapping[str, Any],
    actor: User,
    reason: str,
    description: str | None = None,
    expires_in_s: int | None = None,
) -> Strategy | ChangeRequest:
    """Change what a strategy decides by: at once while it is switched off, by request while it trades.

    Parameters
    ----------
    changes : members of `Definition`; `parameters` replaces all of them.

    Raises
    ------
    ApplicationError : INVALID_VALUE, NOTHING_TO_CHANGE, REASON_REQUIRED.
    NotFound : UNKNOWN_STRATEGY, UNKNOWN_MODEL.
    """
    _require(reason)
    with transaction.atomic():
        strategy = strategy_locked(name)
        before = definition_of(strategy)
        after = definition_clean(replace(before, **changes))
        diff = before.diff(after)
        if not diff and description in (None, strategy.description):
            raise ApplicationError("NOTHING_TO_CHANGE", f"{name} is defined so already")
        if description is not None and description != strategy.description:
            strategy.description = description
            strategy.save(update_fields=["description"])
        if not diff:
            return strategy
        if not strategy.is_enabled:
            _change(strategy, after, actor=actor, reason=reason, diff=diff)
            return strategy
        return change_request_create(
            kind="strategy.change",
            target=f"strategy:{name}",
            payload=asdict(after),
            diff=diff,
            reason=reason,
            requester=actor,
            expires_in_s=expires_in_s,
        )


@transaction.atomic
def instance_add(*, name: str, place: Place, actor: User, reason: str) -> Strategy:
    """Let a strategy look at one more symbol, without capital until somebody grants it some.

    Raises
    ------
    Conflict : INSTANCE_EXISTS, SYMBOL_TAKEN.
    NotFound : UNKNOWN_STRATEGY, UNKNOWN_ACCOUNT, UNKNOWN_SYMBOL.
    """
    _require(reason)
    strategy = strategy_locked(name)
    _instance_create(strategy, place)
    audit_record(
        action="strategy.symbol_added",
        target=f"strategy:{name}",
        actor=actor,
        reason=reason,
        after=asdict(place),
    )
    publish("trading_state", {"strategy": name, "enabled": strategy.is_enabled})
    return strategy


def definition_of(strategy: Strategy) -> Definition:
    """What is stored."""
    return Definition(strategy.kind, strategy.interval, dict(strategy.parameters), strategy.model_family)


def definition_clean(definition: Definition) -> Definition:
    """Check a definition; parameters come back as the types their fields have.

    Raises
    ------
    ApplicationError : INVALID_VALUE, which names the member.
    NotFound : UNKNOWN_MODEL.
    """
    try:
        kind = strategy_load(definition.kind)
        interval_ns(definition.interval)
    except StrategyLoadError as error:
        raise ApplicationError("INVALID_VALUE", f"kind: {error}") from None
    except ValueError as error:
        raise ApplicationError("INVALID_VALUE", f"interval: {error}") from None
    try:
        parsed: Any = parse_params(kind.Params, definition.parameters)
    except ParameterError as error:
        place = f"parameters.{error.field}" if error.field else "parameters"
        raise ApplicationError("INVALID_VALUE", f"{place}: {error.message}") from None
    known = {field.name for field in fields(kind.Params)}
    if definition.model_family:
        if "model" not in known:
            raise ApplicationError("INVALID_VALUE", f"model_family: {definition.kind} has no model")
        champion_of(definition.model_family)
    given = {name: getattr(parsed, name) for name in definition.parameters}
    return replace(definition, parameters=given)


def change_snapshot(target: str) -> dict[str, Any]:
    """The definition a change was proposed against."""
    return asdict(definition_of(_by_target(target)))


def change_clean(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Check a proposed definition.

    Raises
    ------
    ApplicationError : INVALID_VALUE.
    """
    members = {field.name for field in fields(Definition)}
    if set(payload) != members:
        raise ApplicationError("INVALID_VALUE", f"expected the members {', '.join(sorted(members))}")
    if not isinstance(payload["parameters"], Mapping):
        raise ApplicationError("INVALID_VALUE", "parameters: expected an object")
    return asdict(definition_clean(Definition(**payload)))


def apply_change(request: ChangeRequest, approver: User) -> None:
    """Redefine as approved; runs inside the approving transaction. The next step warms up again."""
    strategy = strategy_locked(request.target.partition(":")[2])
    _change(
        strategy,
        Definition(**request.payload),
        actor=f"{request.requester} and {approver}",
        reason=request.reason,
        diff=request.diff,
    )


def _change(
    strategy: Strategy, after: Definition, *, actor: User | str, reason: str, diff: Mapping[str, Any]
) -> None:
    _write(strategy, after)
    strategy.updated_at = now()
    strategy.save()
    audit_record(
        action="strategy.redefined",
        target=f"strategy:{strategy.name}",
        actor=actor,
        reason=reason,
        after=dict(diff),
    )
    publish("trading_state", {"strategy": strategy.name, "enabled": strategy.is_enabled})


def _write(strategy: Strategy, definition: Definition) -> None:
    strategy.kind, strategy.interval = definition.kind, definition.interval
    strategy.parameters = dict(definition.parameters)
    if strategy.model_family != definition.model_family or not strategy.model_digest:
        found = champion_of(definition.model_family) if definition.model_family else None
        strategy.model_family = definition.model_family
        strategy.model_digest, strategy.model_version = found or ("", None)


def _instance_create(strategy: Strategy, place: Place) -> StrategyInstance:
    account = Account.objects.filter(name=place.account).first()
    if account is None:
        raise NotFound("UNKNOWN_ACCOUNT", f"no account is called {place.account!r}")
    instrument = Instrument.objects.filter(venue_id=account.venue_id, symbol=place.symbol).first()
    if instrument is None:
        raise NotFound("UNKNOWN_SYMBOL", f"{place.account} has no symbol {place.symbol!r}")
    _require_alone(strategy, account, instrument)
    instance, created = StrategyInstance.objects.get_or_create(
        strategy=strategy, account=account, instrument=instrument, defaults={"allocation": 0}
    )
    if not created:
        raise Conflict("INSTANCE_EXISTS", f"{strategy.name} has {place.symbol} of {place.account} already")
    return instance


def _require_alone(strategy: Strategy, account: Account, instrument: Instrument) -> None:
    """A market maker shares its symbol with nobody: neither may join the other.

    Raises
    ------
    Conflict : SYMBOL_TAKEN.
    """
    others = StrategyInstance.objects.select_related("strategy").filter(
        account=account, instrument=instrument
    )
    for other in others.exclude(strategy=strategy):
        if _makes_market(strategy) or _makes_market(other.strategy):
            raise Conflict(
                "SYMBOL_TAKEN",
                f"{other.strategy.name} has {instrument.symbol} of {account.name}; "
                "a market maker is alone on its symbol",
            )


def _makes_market(strategy: Strategy) -> bool:
    try:
        return strategy_load(strategy.kind).makes_market
    except StrategyLoadError:
        return False  # it cannot trade either


def _by_target(target: str) -> Strategy:
    name = target.partition(":")[2]
    strategy = Strategy.objects.filter(name=name).first()
    if strategy is None:
        raise NotFound("UNKNOWN_STRATEGY", f"no strategy is called {name!r}")
    return strategy


def _require(reason: str) -> None:
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
