"""The compiled engine's loop: one strategy on one instrument, over arrays, in the subset numba compiles.

It is plain Python and runs as such; `machine.py` compiles it. Step by step it does what `lane.py` and
`engine.py` do for a single strategy, with the same kernels, and tests hold the two equal row for row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trading.domain.backtest.arithmetic import PARTS, mul_div
from trading.domain.backtest.costs import CostTable, collared_ticks, fee, funding_payment, slipped
from trading.domain.backtest.execution import trade_market
from trading.domain.backtest.fold import average_price, carried_after, cost_quote, fold_trade
from trading.domain.backtest.limits import NOTHING_USED, LimitTable
from trading.domain.backtest.losses import closed, roll, take
from trading.domain.backtest.rails import REPEATED_EXECUTION
from trading.domain.backtest.recent import single_use
from trading.domain.backtest.scale import Scale, base_quantity, market_value, notional
from trading.domain.backtest.series import FloatArray
from trading.domain.backtest.sizing import child_steps, fixed_steps, planned_steps, wanted_steps
from trading.domain.backtest.tables import (
    CLOSE_NS,
    OPEN_NS,
    T_CLOSE,
    T_OPEN,
    Columns,
    FundingColumns,
    Said,
    Setup,
    Tables,
)
from trading.domain.backtest.touches import (
    LIQUIDATED,
    NOTHING,
    STOP,
    exit_inside,
    liquidation_ticks,
    protection_ticks,
    target_parts,
    trailing_stop,
)

ArrayStep = Callable[..., tuple[int, float, float, float, float]]
MAX_PRICE: Final = 1e12
EIGHT_TIMES: Final = 0x0101010101010101
"""A code times this is eight of them in a row."""


def run_bars(
    step: ArrayStep,
    params: FloatArray,
    state: FloatArray,
    bars: Columns,
    funding: FundingColumns,
    scale: Scale,
    limits: LimitTable,
    costs: CostTable,
    setup: Setup,
    tables: Tables,
    said: Said,
) -> tuple[int, int, int]:
    """Run to the last bar; return how many rows of fills, refusals and funding there are.

    With `said` the step is not called: what it would have said is there. Bars on which nothing new is said and
    nothing can happen are then passed over.

    It allocates nothing. Where a table is too short for its rows the last place is written again and again;
    the counts tell, and the caller runs once more with longer ones.
    """
    size = len(bars.rows)
    fills, refusals, paid = tables.fills, tables.refusals, tables.paid
    flights, recent = tables.flights, tables.recent
    filled_rows, refused_rows, paid_rows = 0, 0, 0
    fills_end, refusals_end, paid_end = len(fills) - 1, len(refusals) - 1, len(paid) - 1
    room, first_flight, last_flight = len(flights), 0, 0
    first_row, last_row = 0, 0
    limited, measured = limits.in_force == 1, limits.measured == 1
    measure, own = tables.account, tables.strategy
    sent, off, paid_out, nothing = 0, 0, 0, NOTHING_USED

    cash, position, cost, realized, carried = setup.cash, 0, 0, 0, 0
    average, held, worth, best = 0.0, 0.0, 0.0, 0
    target, wish_stop, wish_profit, wish_trail = 0, 0.0, 0.0, 0.0
    stop, profit, trail = 0, 0, 0
    settled, fixed, wanted = True, setup.quantity > 0, 0
    codes, words, targets = said.codes, said.words, said.targets
    scripted, standing = len(codes) > 0, 0
    # Where fills are rare each column that is touched is a miss of the cache: what is not needed is not read.
    funded, impacted, late = len(funding.times_ns) > 0, costs.impact > 0.0, len(bars.arrival) > 0
    daily, sigma, result = 0.0, 0.0, 0.0

    i = -1
    while True:
        i += 1
        if (
            scripted
            and settled
            and first_flight == last_flight
            and (position == 0 or (scale.futures == 0 and not measured))
            and (fixed or (target == 0 and position == 0))
        ):
            same = standing * EIGHT_TIMES
            while i < size and (codes[i] == 0 or codes[i] == standing):
                i += 1
                if i % 8 == 0:
                    while i + 8 <= size and words[i // 8] == same:
                        i += 8
        if i >= size:
            break
        # One pass through the order machinery for what arrives at this open, one for this close.
        if first_flight < last_flight or (
            position != 0 and (scale.futures == 1 or stop > 0 or profit > 0 or trail > 0 or measured)
        ):
            if measured and i > 0:
                equity = cash + market_value(scale, position, bars.rows[i - 1, T_CLOSE])
                take(measure, bars.rows[i - 1, CLOSE_NS], equity, position == 0)
                take(own, bars.rows[i - 1, CLOSE_NS], equity - setup.cash + paid_out, position == 0)
            at, last = 0, 0
            if funded:
                at, last = funding.bar_from[i], funding.bar_from[i + 1]
            while at < last and funding.times_ns[at] <= bars.rows[i, OPEN_NS]:
                if position != 0:
                    mark = funding.marks[at] if funding.marks[at] > 0 else bars.rows[i, T_OPEN]
                    payment = funding_payment(scale, position, mark, funding.rates[at])
                    cash -= payment
                    paid_out += payment
                    row = min(paid_rows, paid_end)
                    paid[row, 0], paid[row, 1], paid[row, 2] = funding.times_ns[at], 0, i
                    paid[row, 3], paid[row, 4], paid[row, 5] = position, mark, payment
                    paid_rows += 1
                at += 1
            due = 1 if first_flight < last_flight and flights[first_row, 0] <= i else 0
        else:
            at, last, due = 0, 0, 0

        stage = 0
        touch, now = bars.rows[i, T_OPEN], bars.rows[i, OPEN_NS]
        while stage < 2:
            # Stage 0 sends what was decided earlier, stage 1 decides and may send at the close.
            order, count, decided = 0, 0, 0
            if stage == 0:
                if due == 1 and first_flight < last_flight and flights[first_row, 0] <= i:
                    order, count = flights[first_row, 1], flights[first_row, 2]
                    decided = flights[first_row, 3]
                    first_flight += 1
                    first_row = first_row + 1 if first_row + 1 < room else 0
                else:
                    while at < last:
                        if position != 0:
                            mark = funding.marks[at] if funding.marks[at] > 0 else bars.rows[i, T_OPEN]
                            payment = funding_payment(scale, position, mark, funding.rates[at])
                            cash -= payment
                            paid_out += payment
                            row = min(paid_rows, paid_end)
                            paid[row, 0], paid[row, 1] = funding.times_ns[at], 0
                            paid[row, 2], paid[row, 3] = i, position
                            paid[row, 4], paid[row, 5] = mark, payment
                            paid_rows += 1
                        at += 1
                    if position != 0 and (scale.futures == 1 or stop > 0 or profit > 0 or trail > 0):
                        side = 1 if position > 0 else -1
                        level_stop = trailing_stop(side, best, trail, stop)
                        what, price = exit_inside(
                            side,
                            level_stop,
                            profit,
                            bars.rows[i, T_OPEN],
                            bars.t_low[i],
                            bars.t_high[i],
                            setup.through,
                        )
                        if scale.futures == 1:
                            level = liquidation_ticks(scale, position, cash, costs.maintenance)
                            extreme = bars.t_low[i] if side > 0 else bars.t_high[i]
                            crossed = level > 0 and (extreme <= level if side > 0 else extreme >= level)
                            saved = what == STOP and (price > level if side > 0 else price < level)
                            if crossed and not saved:
                                what, price = LIQUIDATED, level
                        if what != NOTHING:
                            steps = abs(position)
                            amount = notional(scale, price, steps)
                            quote = slipped(amount, -side, costs.slippage) if what == STOP else amount
                            rate = costs.maker
                            kind = 2
                            if what == STOP:
                                rate, kind = costs.taker, 1
                            elif what == LIQUIDATED:
                                rate, kind = costs.maintenance, 4
                            commission = fee(quote, rate)
                            if limited:
                                carried = carried_after(position, carried, -side * steps, 0, quote)
                            signed, before = -side * steps, realized
                            position, cost, realized = fold_trade(position, cost, realized, signed, quote)
                            if measured:
                                roll(measure, bars.rows[i, CLOSE_NS])
                                roll(own, bars.rows[i, CLOSE_NS])
                                closed(own, bars.rows[i, CLOSE_NS], realized - before)
                            cash -= (quote if signed > 0 else -quote) + commission
                            row = min(filled_rows, fills_end)
                            fills[row, 0], fills[row, 1] = bars.rows[i, CLOSE_NS], bars.rows[i, CLOSE_NS]
                            fills[row, 2], fills[row, 3] = 0, i
                            fills[row, 4], fills[row, 5] = signed, price
                            fills[row, 6], fills[row, 7] = quote, commission
                            fills[row, 8], fills[row, 9] = abs(quote - amount), kind
                            filled_rows += 1
                            average, held, worth = 0.0, 0.0, 0.0
                            target, wish_stop, wish_profit, wish_trail = 0, 0.0, 0.0, 0.0
                            stop, profit, trail = 0, 0, 0
                            settled, standing = first_flight == last_flight, 0
                    if trail > 0:
                        if position > 0:
                            best = max(best, bars.t_high[i])
                        elif position < 0:
                            best = min(best, bars.t_low[i])
                    stage = 1
                    touch, now = bars.rows[i, T_CLOSE], bars.rows[i, CLOSE_NS]
                    code, new_target, new_stop, new_profit, new_trail = 0, 0.0, 0.0, 0.0, 0.0
                    if scripted:
                        code = int(codes[i])
                        if code != 0:
                            new_target, standing = targets[code - 1], code
                    else:
                        price_close = bars.p_close[i]
                        result = held * price_close - worth
                        code, new_target, new_stop, new_profit, new_trail = step(
                            params,
                            state,
                            now,
                            bars.p_open[i],
                            bars.p_high[i],
                            bars.p_low[i],
                            price_close,
                            bars.volume[i],
                            held,
                            average,
                            result,
                        )
                    if code != 0:
                        if not (-1.0 <= new_target <= 1.0 and 0.0 <= new_trail < 1.0):
                            raise ValueError("expected a target of -1 to 1 and a trail of 0 to below 1")
                        if not (0.0 <= new_stop < MAX_PRICE and 0.0 <= new_profit < MAX_PRICE):
                            raise ValueError("expected a stop and a take-profit that are prices, or 0")
                        parts = target_parts(new_target, setup.long_only)
                        if (
                            parts != target
                            or new_stop != wish_stop
                            or new_profit != wish_profit
                            or new_trail != wish_trail
                        ):
                            target = parts
                            wish_stop, wish_profit, wish_trail = new_stop, new_profit, new_trail
                            settled = False
                    if settled and (fixed or (target == 0 and position == 0)):
                        break
                    if off == 1:
                        break
                    if fixed:
                        wanted = fixed_steps(setup.quantity, target)
                    else:
                        capital = setup.capital
                        if capital == 0:
                            equity = cash + market_value(scale, position, touch)
                            if equity > setup.largest:
                                raise ValueError("the equity has outgrown 64 bits; use the Python engine")
                            capital = mul_div(equity, setup.usable, PARTS) if equity > 0 else 0
                            capital = mul_div(capital, setup.share, PARTS)
                        wanted = (
                            0
                            if target < 0 and scale.futures == 0
                            else wanted_steps(scale, capital, target, touch)
                        )
                    trailed = trail > 0
                    stop, profit, trail = 0, 0, 0
                    if wish_stop > 0.0 or wish_profit > 0.0 or wish_trail > 0.0:
                        stop, profit, trail = protection_ticks(
                            1 if target >= 0 else -1, wish_stop, wish_profit, wish_trail, scale
                        )
                    if trail > 0 and not trailed and position != 0:
                        best = touch
                    in_flight = 0
                    row = first_row
                    for _ in range(first_flight, last_flight):
                        in_flight += flights[row, 1]
                        row = row + 1 if row + 1 < room else 0
                    order, count = planned_steps(
                        scale, wanted, position, in_flight, touch, setup.band, setup.max_child
                    )
                    decided = now
                    if order != 0 and setup.same_close == 0:
                        flights[last_row, 0], flights[last_row, 1] = bars.arrival[i] if late else i + 1, order
                        flights[last_row, 2], flights[last_row, 3] = count, decided
                        last_flight += 1
                        last_row = last_row + 1 if last_row + 1 < room else 0
                        in_flight += order
                        order = 0
                    if order == 0:
                        settled = position + in_flight == wanted
                        break

            side = 1 if order > 0 else -1
            parent = abs(order)
            complete, number_out = True, 0
            for number in range(count):
                child = parent if count == 1 else child_steps(parent, count, number)
                free = cash
                if scale.futures == 1:
                    equity = cash + market_value(scale, position, touch)
                    free = -notional(scale, touch, abs(position))
                    if equity > 0:
                        free += mul_div(equity, setup.leverage, PARTS)
                use, limit = nothing, 0
                if limited:
                    equity = cash + market_value(scale, position, touch)
                    if measured:
                        take(measure, now, equity, position == 0)
                        take(own, now, equity - setup.cash + paid_out, position == 0)
                    limit = collared_ticks(touch, side, costs.collar_bps)
                    use = single_use(
                        limits, recent, sent, now, side * child, limit, position, carried, number_out, equity,
                        measure, own, off,
                    )  # fmt: skip
                if impacted:
                    daily, sigma = bars.daily[i], bars.sigma[i]
                verdict, got, quote, commission, slippage, reserved = trade_market(
                    scale,
                    limits,
                    costs,
                    side,
                    child,
                    touch,
                    position,
                    free,
                    use,
                    daily,
                    sigma,
                )
                if verdict != 0:
                    row = min(refused_rows, refusals_end)
                    refusals[row, 0], refusals[row, 1] = now, 0
                    refusals[row, 2], refusals[row, 3] = i, verdict
                    refusals[row, 4], refusals[row, 5] = side * child, touch
                    refused_rows += 1
                    complete = False
                    if verdict == REPEATED_EXECUTION:
                        off = 1
                    continue
                if got < child:
                    complete = False
                if limited:
                    row = sent % len(recent)
                    recent[row, 0], recent[row, 1], recent[row, 2] = now, side * child, limit
                    sent += 1
                    number_out += 1
                signed, before, gained = side * got, position, realized
                if limited:
                    carried = carried_after(position, carried, signed, reserved, quote)
                position, cost, realized = fold_trade(position, cost, realized, signed, quote)
                cash -= (quote if signed > 0 else -quote) + commission
                if measured:
                    closed(own, now, realized - gained)
                if before == 0 or (before > 0) != (position > 0):
                    best = touch
                if not scripted:
                    held, worth = base_quantity(scale, position), cost_quote(cost, position)
                    average = average_price(scale, cost, position)
                row = min(filled_rows, fills_end)
                fills[row, 0], fills[row, 1], fills[row, 2] = now, decided, 0
                fills[row, 3], fills[row, 4], fills[row, 5] = i, signed, touch
                fills[row, 6], fills[row, 7] = quote, commission
                fills[row, 8], fills[row, 9] = slippage, 0
                filled_rows += 1
            if stage == 1:
                settled = position == wanted
                break
            if not complete:
                settled = False
    return filled_rows, refused_rows, paid_rows
