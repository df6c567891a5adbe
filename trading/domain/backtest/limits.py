"""Limits in force as whole numbers, and what of them is used when an order is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from trading.domain.backtest.arithmetic import NO_LIMIT, PARTS, mul_div_up
from trading.domain.risk import RiskLimits

MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class LossLimits:
    """How much one scope may lose; None is no limit.

    Attributes
    ----------
    daily_loss : quote units since 00:00 UTC, mark to market.  drawdown : parts of a million below the peak.
    streak : losing trades in a row on one day.
    """

    daily_loss: int | None = None
    drawdown: int | None = None
    streak: int | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"expected a {name} of zero or more, was {value}")

    def as_json(self) -> dict[str, int | None]:
        """Return plain data that identifies them."""
        return {name: getattr(self, name) for name in self.__slots__}


NO_LOSSES: Final = LossLimits()


class LimitTable(NamedTuple):
    """Limits in force for the orders of one strategy on one instrument, as whole numbers; see `RiskLimits`.

    Attributes
    ----------
    max_steps : its max_quantity in steps.
    maintenance : rate of the maintenance margin, parts of 1e-8.
    over_leveraged : 1 where the account is set to more leverage than allowed.
    loss, drawdown : of the account; *_strategy, streak, cooldown_ns : of the strategy.
    capital : quote units the strategy works with, which its drawdown is a part of.
    in_force, measured : 1 where there are limits at all, and where losses have to be measured for them.
    """

    min_notional: int
    max_notional: int
    max_steps: int
    soft_notional: int
    exposure_symbol: int
    exposure_strategy: int
    exposure_strategy_symbol: int
    exposure_group: int
    exposure_account: int
    exposure_global: int
    net_account: int
    net_global: int
    orders_per_minute: int
    orders_per_minute_strategy: int
    max_open_orders: int
    max_open_orders_strategy: int
    collar_bps: int
    slippage_bps: int
    margin_ratio: int
    liquidation_distance: int
    maintenance: int
    over_leveraged: int
    repeated_executions: int
    near_window_ns: int
    sends_per_decision: int
    loss: int
    loss_strategy: int
    drawdown: int
    drawdown_strategy: int
    streak: int
    cooldown_ns: int
    capital: int
    in_force: int
    measured: int


class Use(NamedTuple):
    """What an order finds in use when it is judged.

    Attributes
    ----------
    off : 1 where its strategy has been switched off.
    open_buy, open_sell : steps of open orders on the symbol.
    symbol to everything : quote units the gross buckets hold; group : the fullest group of the symbol.
    net_account, net_global : signed quote units the positions carry; *_buy, *_sell : what open orders may add.
    open_orders, open_orders_strategy, sent, sent_strategy : counts; of open orders, and of the last 60 s.
    executions : of the same strategy, symbol and side in the last 60 s.
    near_age_ns : since the strategy's last order, for another decision, that is nearly this one; or NO_LIMIT.
    crossing : ticks of the best own resting order on the other side, 0 where there is none.
    sends : orders that went out for the same decision.
    balance : margin balance of the account, quote units.
    maintenance, at_limit : of the other positions, quote units: their maintenance margin, and what they have lost
        and demand after the smallest move that may liquidate.
    loss, loss_strategy : quote units lost today.  drawdown, drawdown_strategy : parts of a million.
    streak : losing trades in a row today.  loss_age_ns : since the strategy last closed at a loss, or NO_LIMIT.
    """

    off: int = 0
    open_buy: int = 0
    open_sell: int = 0
    symbol: int = 0
    strategy: int = 0
    strategy_symbol: int = 0
    group: int = 0
    account: int = 0
    everything: int = 0
    net_account: int = 0
    account_buy: int = 0
    account_sell: int = 0
    net_global: int = 0
    global_buy: int = 0
    global_sell: int = 0
    open_orders: int = 0
    open_orders_strategy: int = 0
    sent: int = 0
    sent_strategy: int = 0
    executions: int = 0
    near_age_ns: int = NO_LIMIT
    crossing: int = 0
    sends: int = 0
    balance: int = 0
    maintenance: int = 0
    at_limit: int = 0
    loss: int = 0
    loss_strategy: int = 0
    drawdown: int = 0
    drawdown_strategy: int = 0
    streak: int = 0
    loss_age_ns: int = NO_LIMIT


def demanded(value: int, short: bool, rate: int, move: int) -> int:
    """Return what a position has lost and demands of the balance after a move against it; quote units.

    Parameters
    ----------
    value : its notional now.  rate : of the maintenance margin, parts of 1e-8.  move : parts of a million.
    """
    there = mul_div_up(value, MILLION + (move if short else -move), MILLION)
    return mul_div_up(value, move, MILLION) + mul_div_up(there, rate, PARTS)


NOTHING_USED: Final = Use()
_UNBOUNDED: Final = LimitTable(*(NO_LIMIT,) * len(LimitTable._fields))._replace(
    min_notional=0,
    collar_bps=10_000,
    slippage_bps=10_000,
    liquidation_distance=0,
    maintenance=0,
    over_leveraged=0,
    near_window_ns=0,
    cooldown_ns=0,
    capital=0,
    in_force=0,
    measured=0,
)


def limit_table(
    limits: RiskLimits | None,
    step_units: int,
    *,
    account: LossLimits = NO_LOSSES,
    strategy: LossLimits = NO_LOSSES,
    capital: int = 0,
    maintenance: int = 0,
    leverage: int = PARTS,
    grouped: bool = False,
) -> LimitTable:
    """Return the table of some limits; without limits only the collar of 100 % binds.

    Parameters
    ----------
    account, strategy : limits on their losses.  capital : quote units the strategy works with.
    maintenance : rate of the maintenance margin.  leverage : of the account; both in parts of 1e-8.
    grouped : the instrument belongs to a group of symbols that share a cap.
    """
    bounds = (account.daily_loss, strategy.daily_loss, account.drawdown, strategy.drawdown, strategy.streak)
    loss, loss_strategy, drawdown, drawdown_strategy, streak = (
        NO_LIMIT if bound is None else bound for bound in bounds
    )
    cooldown = 0 if limits is None else limits.loss_cooldown_ns
    measured = int(cooldown > 0 or any(bound is not None for bound in bounds))
    table = _UNBOUNDED._replace(
        loss=loss,
        loss_strategy=loss_strategy,
        drawdown=drawdown,
        drawdown_strategy=drawdown_strategy,
        streak=streak,
        cooldown_ns=cooldown,
        capital=capital,
        in_force=measured,
        measured=measured,
    )
    if limits is None:
        return table
    return table._replace(
        min_notional=limits.min_notional,
        max_notional=limits.max_notional,
        max_steps=limits.max_quantity // step_units,
        soft_notional=limits.soft_notional,
        exposure_symbol=limits.exposure_symbol,
        exposure_strategy=limits.exposure_strategy,
        exposure_strategy_symbol=limits.exposure_strategy_symbol,
        exposure_group=limits.exposure_group if grouped else NO_LIMIT,
        exposure_account=limits.exposure_account,
        exposure_global=limits.exposure_global,
        net_account=limits.net_account,
        net_global=limits.net_global,
        orders_per_minute=limits.orders_per_minute,
        orders_per_minute_strategy=limits.orders_per_minute_strategy,
        max_open_orders=limits.max_open_orders,
        max_open_orders_strategy=limits.max_open_orders_strategy,
        collar_bps=limits.collar_bps,
        slippage_bps=limits.slippage_bps,
        margin_ratio=limits.margin_ratio_max,
        liquidation_distance=limits.liquidation_distance_min,
        maintenance=maintenance,
        over_leveraged=int(leverage > limits.leverage_max * PARTS),
        repeated_executions=limits.repeated_executions,
        near_window_ns=limits.near_window_ns,
        sends_per_decision=limits.sends_per_decision,
        in_force=1,
    )
