"""A regime model for the demo: learned from the paper exchange's own minutes, asked into force by its people.

Everything is asked for in the names of the demo's trader and model owner through the services they would use.
Nothing trades before a risk officer has approved it.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from mlregistry.domain.stages import Stage
from mlregistry.models import ModelFamily, ModelVersion, TrainingRun
from mlregistry.services.stages import promotion_request
from mlregistry.services.training import training_request
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import ChangeRequest, User
from trading.models import Strategy
from trading.services.demo import ACCOUNT
from trading.services.strategies import (
    Definition,
    Place,
    grant_change,
    instance_of,
    strategy_define,
    strategy_enable_request,
)
from universe.adapters.binance import Priority
from universe.services.connections import market_data_of
from universe.services.kline_files import klines_download

STRATEGY, SYMBOL, INTERVAL = "regimes", "BTCUSDT", "1m"
ALLOCATION = Decimal(2000)
HISTORY = timedelta(days=90)
"""Longer than the paper exchange remembers, wherever its market stands."""
REASON = "a regime model for the demo"
_WAITING = (ChangeRequest.State.PENDING, ChangeRequest.State.APPROVED)


def demo_bars_fetch() -> int:
    """Bring every minute the paper exchange remembers into the store of bars. Returns how many.

    Raises
    ------
    ApplicationError, VenueError, KlineFileRefused : as `klines_download`.
    """
    report = klines_download(
        market_data_of("spot", priority=Priority.BULK),
        market="spot", symbol=SYMBOL, interval=INTERVAL, start=now() - HISTORY, end=None,
    )  # fmt: skip
    return report.stored.rows if report.stored is not None else 0


def demo_training_request(*, requester: User) -> TrainingRun:
    """Queue the training: calm, trend and turbulent minutes."""
    asked = {"model": "hmm", "symbol": SYMBOL, "interval": INTERVAL, "states": 3}
    return training_request(asked=asked, requester=requester)


def demo_version() -> ModelVersion | None:
    """The champion of the demo's family, else its newest version, None before one is trained."""
    rows = ModelVersion.objects.filter(
        family__kind="hmm", family__symbol=SYMBOL, family__market="spot", family__interval=INTERVAL
    ).exclude(stage=Stage.RETIRED)
    rows = rows.select_related("family")
    return rows.filter(stage=Stage.CHAMPION).first() or rows.order_by("-number").first()


def demo_model_requests(version: ModelVersion, *, trader: User, model_owner: User) -> list[ChangeRequest]:
    """Ask for what is not there yet of: the model in force, capital for a strategy that follows it, switched on.

    Returns every request that waits, those that were asked for before included.
    """
    asked: list[ChangeRequest] = []
    if version.stage != Stage.CHAMPION:
        asked += _waiting("model.promote", f"model:{version.pk}") or [
            promotion_request(
                version=version, stage=Stage.CHAMPION, reason=REASON, requester=model_owner, override=True
            )
        ]
    strategy = Strategy.objects.filter(name=STRATEGY).first() or _define(version.family, trader)
    instance = instance_of(strategy=strategy.name, account=ACCOUNT, symbol=SYMBOL)
    if instance.allocation < ALLOCATION:
        target = f"instance:{instance.pk}"
        found = _waiting("strategy.grant", target)
        if not found:
            made = grant_change(
                instance=instance, weight=Decimal(1), allocation=ALLOCATION, actor=trader, reason=REASON
            )
            found = [made] if isinstance(made, ChangeRequest) else []
        asked += found
    if not strategy.is_enabled:
        asked += _waiting("strategy.enable", f"strategy:{strategy.name}") or [
            strategy_enable_request(name=strategy.name, requester=trader, reason=REASON)
        ]
    return asked


def _define(family: ModelFamily, trader: User) -> Strategy:
    return strategy_define(
        name=STRATEGY,
        definition=Definition("hmm_policy", INTERVAL, {}, family.name),
        description="Holds while the minutes are calm or trend, and nothing while they are turbulent.",
        places=[Place(ACCOUNT, SYMBOL)],
        actor=trader,
        reason=REASON,
    )


def _waiting(kind: str, target: str) -> list[ChangeRequest]:
    rows = ChangeRequest.objects.filter(kind=kind, target=target, state__in=_WAITING, expires_at__gt=now())
    return list(rows.order_by("created_at"))


def demo_people() -> tuple[User, User]:
    """The demo's trader and model owner.

    Raises
    ------
    Conflict : NO_DEMO, they are not there or were switched off.
    """
    people = {
        row.username: row
        for row in User.objects.filter(username__in=("trader", "model_owner"), is_active=True)
    }
    if len(people) < 2:
        raise Conflict("NO_DEMO", "the demo's trader and model_owner are not there: start the platform first")
    return people["trader"], people["model_owner"]
