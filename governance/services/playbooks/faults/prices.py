"""Faults of the market: falls, shocks, a peg that breaks, funding, prices that stop coming."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from governance.adapters.testnet_control import ControlError, control
from governance.models import Playbook
from governance.services.playbooks.faults.fault import Fault, NotRehearsable
from governance.services.playbooks.measures import STABLE_COINS
from nautilus_site.common.services.hints import send_hint
from trading.models import Account, Balance, LossMeasure, Position, SymbolAllowance
from trading.selectors.marks import marks_read
from trading.selectors.positions import position_notional
from universe.models import Instrument, Quote

_DEEPEST_FALL = 0.6
_HOUR = 3600
SHOCK = Decimal("0.03")
"""A common move next to which an hour of every symbol's own noise is small."""


def stale_data(playbook: Playbook, fault: Fault) -> None:
    """No event of one traded symbol arrives any more."""
    row = SymbolAllowance.objects.select_related("instrument").order_by("instrument__symbol").first()
    if row is None:
        raise NotRehearsable("no symbol may be traded")
    fault.scope = f"symbol:{row.instrument.symbol}"
    fault.stand({"symbol": row.instrument.symbol}, {"drop_event": True})


def drawdown(playbook: Playbook, fault: Fault) -> None:
    """Prices fall until the account that holds most is so far below its peak."""
    held: dict[str, float] = {}
    for row in _held():
        held[row.account] = held.get(row.account, 0.0) + row.notional
    if not held:
        raise NotRehearsable("nothing is held: a fall of prices would cost nothing")
    account = max(held, key=lambda name: held[name])
    measure = LossMeasure.objects.filter(scope=f"account:{account}").first()
    if measure is None:
        raise NotRehearsable("the account's result was not measured yet")
    fault.scope = f"account:{account}"
    wanted = float(measure.peak) * playbook.threshold / 100 - float(measure.peak - measure.value)
    moved = _fall(account, wanted, fault)
    # Prices that fall are a fall for everybody who holds the same.
    accounts = {row.account for row in _held() if row.instrument.symbol in moved} - {account}
    fault.others = [f"account:{name}" for name in sorted(accounts)]


def daily_loss(playbook: Playbook, fault: Fault) -> None:
    """Prices fall until the day has cost so much."""
    row = LossMeasure.objects.filter(scope="global").first()
    if row is None:
        raise NotRehearsable("the day's result was not measured yet")
    _fall(None, playbook.threshold - float(row.day_start - row.value), fault)


def corr_spike(playbook: Playbook, fault: Fault) -> None:
    """Everything that may be traded rises and falls together, and stays there for a minute each time."""
    traded = Instrument.objects.filter(
        market="spot", symbol__in=SymbolAllowance.objects.values("instrument__symbol")
    ).distinct()
    moved = [(row, price) for row in traded.order_by("symbol") if (price := _price(row)) is not None]
    if len(moved) < 2:
        raise NotRehearsable("fewer than two symbols with a price may be traded")
    for instrument, price in moved:
        low, high = _text(price), _text(price * (1 + SHOCK))
        path = [[1, high], [61, high], [62, low], [121, low], [122, high], [181, high], [182, low]]
        fault.market(instrument.symbol, "spot", {"path": path}, {"path": [[1, low]]})


def depeg(playbook: Playbook, fault: Fault) -> None:
    """A stable coin falls half as far again below its peg as the threshold; it is listed where there is none."""
    symbol = next(
        iter(
            Instrument.objects.filter(
                market="spot", base_asset__in=STABLE_COINS, quote_asset="USDT", status="TRADING"
            )
            .order_by("symbol")
            .values_list("symbol", flat=True)
        ),
        f"{STABLE_COINS[0]}USDT",
    )
    if not Instrument.objects.filter(market="spot", symbol=symbol, status="TRADING").exists():
        filters = {"tickSize": "0.0001", "stepSize": "1", "minNotional": "5"}
        try:
            control(
                "POST", "/symbols",
                {"symbol": symbol, "market": "spot", "action": "list", "price": "1", "filters": filters},
            )  # fmt: skip
        except ControlError:
            # It was listed by an earlier rehearsal and is not known to us yet: then its market can be moved.
            control("POST", "/market", {"symbol": symbol, "market": "spot", "path": [[1, "1"]]})
        send_hint("universe.tasks.instruments_sync_task", queue="universe", market="spot")
    off = _text(Decimal(1) - Decimal(str(round(playbook.threshold * 1.5 / 100, 6))))
    fault.market(symbol, "spot", {"path": [[1, off], [_HOUR, off]]}, {"path": [[1, "1"], [_HOUR, "1"]]})


def funding_spike(playbook: Playbook, fault: Fault) -> None:
    """The running interval of a traded contract comes to half as much funding again as the threshold."""
    row = (
        Quote.objects.filter(
            instrument__market="usdm",
            instrument__in=SymbolAllowance.objects.values("instrument"),
            funding_rate__isnull=False,
        )
        .select_related("instrument")
        .order_by("instrument__symbol")
        .first()
    )
    if row is None or row.funding_rate is None:
        raise NotRehearsable("no contract with a funding rate may be traded")
    symbol = row.instrument.symbol
    fault.scope = f"symbol:{symbol}"
    rate = Decimal(str(round(playbook.threshold * 1.5 / 100, 8)))
    fault.market(symbol, "usdm", {"funding": _text(rate)}, {"funding": _text(row.funding_rate)})


def _fall(account: str | None, loss: float, fault: Fault) -> set[str]:
    """Let the prices of what is held long fall until so much is lost, with a third to spare; their symbols."""
    moved: set[str] = set()
    held = [row for row in _held() if account in (None, row.account)]
    worth = sum(row.notional for row in held)
    share = max(loss, 0.0) * 4 / 3 / worth if worth > 0 else 1.0
    if share > _DEEPEST_FALL:
        raise NotRehearsable("too little is held: prices would have to fall by more than 60 %")
    for instrument in {row.instrument.pk: row.instrument for row in held}.values():
        price = _price(instrument)
        if price is None:
            continue
        low = _text(price * (1 - Decimal(str(round(share, 6)))))
        back = [[30, _text(price)]]
        fault.market(instrument.symbol, instrument.market, {"path": [[1, low], [_HOUR, low]]}, {"path": back})
        moved.add(instrument.symbol)
    return moved


@dataclass(frozen=True, slots=True)
class _Holding:
    account: str
    instrument: Instrument
    notional: float


def _held() -> list[_Holding]:
    """What a fall of prices would cost: coins of spot accounts, and long contracts; USDT."""
    marks, held = marks_read(), list[_Holding]()
    for account in Account.objects.filter(is_active=True).select_related("venue"):
        if account.market == "usdm":
            for row in Position.objects.filter(account=account, quantity__gt=0).select_related("instrument"):
                notional = float(position_notional(row, marks.of(row.instrument_id)))
                held.append(_Holding(account.name, row.instrument, notional))
            continue
        amounts = dict(Balance.objects.filter(account=account, amount__gt=0).values_list("asset", "amount"))
        pairs = Instrument.objects.filter(venue=account.venue, base_asset__in=amounts, quote_asset="USDT")
        for instrument in pairs:
            mark = marks.of(instrument.pk)
            if mark is not None:
                held.append(_Holding(account.name, instrument, float(amounts[instrument.base_asset] * mark)))
    return held


def _price(instrument: Instrument) -> Decimal | None:
    quote = Quote.objects.filter(instrument=instrument).first()
    return quote.bid if quote is not None else None


def _text(price: Decimal) -> str:
    return f"{round(price, 8):f}"
