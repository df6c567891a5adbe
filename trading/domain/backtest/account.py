"""The account of a run: its cash, what its positions carry of every cap, its last orders, and its losses."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from trading.domain.backtest.arithmetic import NO_LIMIT, PARTS, mul_div, mul_div_up
from trading.domain.backtest.limits import MILLION, Use, demanded
from trading.domain.backtest.losses import (
    LOST_NS,
    NEVER,
    PEAK,
    STREAK,
    closed,
    fallen,
    first_measure,
    lost_today,
    roll,
    take,
)
from trading.domain.backtest.recent import MINUTE_NS, nearly
from trading.domain.backtest.scale import market_value, notional
from trading.domain.carried import carried_split
from trading.domain.values import from_units, to_units

if TYPE_CHECKING:
    from trading.domain.backtest.lane import Lane
    from trading.domain.backtest.leg import Leg

Sent = tuple[int, str, int, int, int]
"""An order that went out: (time_ns, strategy, lane, signed steps, ticks of its limit)."""


class Owner:
    """A strategy by its name, over all its instruments, as the rails see it.

    Attributes
    ----------
    won : quote units its orders brought in, fees taken off.  holdings : signed steps its orders left, by lane.
    An order is counted whole for the strategy in whose name it went out, as live.
    """

    __slots__ = ("holdings", "measure", "off", "won")

    def __init__(self) -> None:
        self.off = False
        self.won = 0
        self.holdings: dict[int, int] = {}
        self.measure = first_measure(0)

    @property
    def flat(self) -> bool:
        """Whether nothing is held."""
        return not any(self.holdings.values())


class Account:
    """The cash of a run and what its positions carry; in quote units.

    Attributes
    ----------
    used : gross, of every lane.  net : long less short.
    measured : whether losses are measured.  watched : whether any limit is in force.
    """

    __slots__ = (
        "cash", "groups", "lanes", "leverage", "measure", "measured", "net", "owners", "sent", "used", "watched",
    )  # fmt: skip

    def __init__(self, cash: int, leverage: int) -> None:
        self.cash = cash
        self.used = self.net = 0
        self.leverage = leverage
        self.lanes: list[Lane] = []
        self.groups: dict[str, frozenset[str]] = {}
        self.sent: deque[Sent] = deque()
        self.owners: dict[str, Owner] = {}
        self.measure = first_measure(cash)
        self.measured = self.watched = False

    def open(self, groups: Mapping[str, Iterable[str]]) -> None:
        """Begin, with every lane and leg in its place."""
        tables = [leg.limits for lane in self.lanes for leg in lane.legs]
        self.groups = {name: frozenset(symbols) for name, symbols in groups.items()}
        self.watched = any(table.in_force for table in tables)
        self.measured = any(table.measured for table in tables)
        self.owners = {leg.name: Owner() for lane in self.lanes for leg in lane.legs}

    def equity(self) -> int:
        """Cash plus every holding at its last close."""
        return self.cash + sum(market_value(x.scale, x.position, x.mark) for x in self.lanes)

    # -- caps --------------------------------------------------------------------------------

    def use(self, lane: Lane, leg: Leg, signed: int, touch: int, limit: int, now_ns: int, sends: int) -> Use:
        """Return what an order of a leg finds in use.

        Parameters
        ----------
        signed : steps of the order.  touch, limit : its price now, and the worst it may trade at, ticks.
        sends : orders that went out for the same decision.
        """
        sent = self.sent
        while sent and sent[0][0] <= now_ns - MINUTE_NS:
            sent.popleft()
        own = executions = 0
        near = NO_LIMIT
        others = len(sent) - sends  # what went out for this same decision comes last, and repeats nothing
        for place, (at, name, number, before, ticks) in enumerate(sent):
            if name != leg.name:
                continue
            own += 1
            if number == lane.number and (before > 0) == (signed > 0):
                executions += 1
                if place < others and nearly(signed, limit, before, ticks):
                    near = now_ns - at
        owner = self.owners[leg.name]
        use = Use(
            off=int(owner.off),
            symbol=lane.carried,
            strategy=sum(x.carried_by.get(leg.name, 0) for x in self.lanes),
            strategy_symbol=lane.carried_by.get(leg.name, 0),
            group=self._fullest(lane.series.symbol) if self.groups else 0,
            account=self.used,
            everything=self.used,
            net_account=self.net,
            net_global=self.net,
            sent=len(sent),
            sent_strategy=own,
            executions=executions,
            near_age_ns=near,
            sends=sends,
        )
        if lane.scale.futures == 1:
            use = use._replace(**self._margin(lane, leg, touch))
        if self.measured:
            use = use._replace(**self._losses(lane, leg, touch, now_ns))
        return use

    def _fullest(self, symbol: str) -> int:
        held = [
            sum(x.carried for x in self.lanes if x.series.symbol in symbols)
            for symbols in self.groups.values()
            if symbol in symbols
        ]
        return max(held, default=0)

    def _margin(self, lane: Lane, leg: Leg, touch: int) -> dict[str, int]:
        rate, move = leg.limits.maintenance, min(leg.limits.liquidation_distance, MILLION)
        needed = at_limit = 0
        for other in self.lanes:
            if other is not lane and other.position:
                value = notional(other.scale, other.mark, abs(other.position))
                needed += mul_div_up(value, rate, PARTS)
                at_limit += demanded(value, other.position < 0, rate, move)
        return {"balance": self.equity_at(lane, touch), "maintenance": needed, "at_limit": at_limit}

    def equity_at(self, lane: Lane, touch: int) -> int:
        """Equity with one lane at a price of now and the others at their last close."""
        mark = market_value(lane.scale, lane.position, lane.mark)
        return self.equity() + market_value(lane.scale, lane.position, touch) - mark

    def margin_room(self, lane: Lane, touch: int) -> int:
        """Quote units of notional that may be added: equity times leverage less what is held."""
        held = notional(lane.scale, touch, abs(lane.position)) if lane.position else 0
        held += sum(notional(x.scale, x.mark, abs(x.position)) for x in self.lanes if x is not lane)
        equity = self.equity_at(lane, touch)
        return mul_div(equity, self.leverage, PARTS) - held if equity > 0 else -held

    def went_out(self, now_ns: int, lane: Lane, leg: Leg, signed: int, limit: int) -> None:
        """Remember an order for the minute after it."""
        self.sent.append((now_ns, leg.name, lane.number, signed, limit))

    def carries(self, lane: Lane, carried: int, position: int, shares: Iterable[int]) -> None:
        """Take over what a lane carries after a fill, split over its strategies as live splits it."""
        before = lane.carried if lane.position > 0 else -lane.carried
        self.used += carried - lane.carried
        self.net += (carried if position > 0 else -carried) - before
        if len(lane.legs) == 1:
            lane.carried_by = {lane.legs[0].name: carried}
            return
        weights: dict[str, int] = {}
        for leg, share in zip(lane.legs, shares, strict=True):
            weights[leg.name] = weights.get(leg.name, 0) + share
        text = {name: str(from_units(units)) for name, units in lane.carried_by.items()}
        weights = {name: share for name, share in weights.items() if share} or dict.fromkeys(weights, 0)
        for name, change in carried_split(text, weights, from_units(carried - lane.carried)).items():
            lane.carried_by[name] = lane.carried_by.get(name, 0) + to_units(Decimal(change))

    # -- losses ------------------------------------------------------------------------------

    def _losses(self, lane: Lane, leg: Leg, touch: int, now_ns: int) -> dict[str, int]:
        mark, lane.mark = lane.mark, touch
        self.measure_all(now_ns)
        lane.mark = mark
        own = self.owners[leg.name].measure
        return {
            "loss": lost_today(self.measure),
            "loss_strategy": lost_today(own),
            "drawdown": fallen(self.measure, self.measure[PEAK]),
            "drawdown_strategy": fallen(own, leg.limits.capital),
            "streak": own[STREAK],
            "loss_age_ns": NO_LIMIT if own[LOST_NS] == NEVER else now_ns - own[LOST_NS],
        }

    def measure_all(self, now_ns: int) -> None:
        """Measure account and strategies at the marks of their lanes."""
        take(self.measure, now_ns, self.equity(), not any(lane.position for lane in self.lanes))
        for owner in self.owners.values():
            value = owner.won
            for number, steps in owner.holdings.items():
                lane = self.lanes[number]
                value += market_value(lane.scale, steps, lane.mark)
            take(owner.measure, now_ns, value, owner.flat)

    def booked(
        self, lane: Lane, leg: Leg, signed: int, quote: int, commission: int, gained: int, now_ns: int
    ) -> None:
        """Count a fill for the strategy whose order it was."""
        roll(self.measure, now_ns)
        for owner in self.owners.values():
            roll(owner.measure, now_ns)
        owner = self.owners[leg.name]
        owner.won -= (quote if signed > 0 else -quote) + commission
        owner.holdings[lane.number] = owner.holdings.get(lane.number, 0) + signed
        closed(owner.measure, now_ns, gained)

    def switch_off(self, leg: Leg) -> None:
        """Stop a strategy for the rest of the run, as live until a person lets it go on."""
        self.owners[leg.name].off = True
        for lane in self.lanes:
            lane.off = lane.off or any(x.name == leg.name for x in lane.legs)

    # -- pieces ------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """Return the changing state as plain data."""
        owners = {
            name: [x.off, x.won, sorted(x.holdings.items()), x.measure] for name, x in self.owners.items()
        }
        return {
            "cash": self.cash,
            "used": self.used,
            "net": self.net,
            "sent": list(self.sent),
            "measure": self.measure,
            "owners": owners,
        }

    def read(self, data: Mapping[str, Any]) -> None:
        """Put back what `as_json` wrote."""
        self.cash, self.used, self.net = data["cash"], data["used"], data["net"]
        self.sent = deque((a, b, c, d, e) for a, b, c, d, e in data["sent"])
        self.measure = list(data["measure"])
        for name, (off, won, holdings, measure) in data["owners"].items():
            owner = self.owners[name]
            owner.off, owner.won, owner.measure = off, won, list(measure)
            owner.holdings = dict(holdings)


ALONE: Final = (1,)
"""Shares of a lane with one leg."""
