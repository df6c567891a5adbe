"""A run as plain data between two of its bars."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from trading.domain.backtest.account import Account
from trading.domain.backtest.fold import average_price
from trading.domain.backtest.lane import Lane
from trading.domain.backtest.leg import Leg
from trading.domain.backtest.scale import base_quantity
from trading.domain.strategies import Execution, Protection

_LANE: Final = (
    "position", "cost", "realized", "worth", "carried", "mark", "best", "stop", "take_profit", "trail",
    "busy", "settled", "off", "carried_by",
)  # fmt: skip
_ROWS: Final = ("fills", "refusals", "paid")


def write_lanes(account: Account) -> dict[str, Any]:
    """Return the changing state of an account and its lanes; the strategies' states as they write them.

    Raises
    ------
    ValueError : a strategy's state is not plain data.
    """
    return {
        "account": account.as_json(),
        "lanes": [_lane_data(lane) for lane in account.lanes],
    }


def read_lanes(account: Account, data: Mapping[str, Any]) -> None:
    """Put back what `write_lanes` wrote."""
    account.read(data["account"])
    for lane, saved in zip(account.lanes, data["lanes"], strict=True):
        for name in _LANE:
            setattr(lane, name, saved[name])
        for name in _ROWS:
            setattr(lane, name, [tuple(row) for row in saved[name]])
        lane.flights = deque((a, b, c, d, tuple(e)) for a, b, c, d, e in saved["flights"])
        for leg, state in zip(lane.legs, saved["legs"], strict=True):
            _restore_leg(lane, leg, state)


def _lane_data(lane: Lane) -> dict[str, Any]:
    data = {name: getattr(lane, name) for name in (*_LANE, *_ROWS)}
    data["flights"] = list(lane.flights)
    data["legs"] = [_leg_data(leg) for leg in lane.legs]
    return data


def _leg_data(leg: Leg) -> dict[str, Any]:
    return {
        "state": leg.strategy.dump(leg.state),
        "target": leg.target,
        "attributed": leg.attributed,
        "protection": None if leg.protection is None else asdict(leg.protection),
        "executions": [execution._asdict() for execution in leg.executions],
    }


def _restore_leg(lane: Lane, leg: Leg, saved: Mapping[str, Any]) -> None:
    leg.state = leg.strategy.load(saved["state"])
    leg.target, leg.attributed, leg.seen = saved["target"], saved["attributed"], None
    leg.protection = None if saved["protection"] is None else Protection(**saved["protection"])
    leg.executions = [Execution(**execution) for execution in saved["executions"]]
    seen = leg.observation
    seen.position = base_quantity(lane.scale, leg.attributed)
    average = average_price(lane.scale, lane.cost, lane.position)
    seen.average_price = average if leg.attributed else 0.0
