"""A bracket against a venue that fills, loses, delays and refuses in any order. Quantities in steps.

Whatever happens: never two live sets, never more protection than position in one lane, never a flip; and when the
venue answers again and the market stands still, everything that can be guarded is guarded.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trading.domain.brackets import (
    Amend,
    BracketState,
    Cancel,
    Decision,
    Exits,
    Facts,
    Leg,
    Place,
    Role,
    TakeProfit,
)
from trading.domain.brackets.layout import lane_of, slices_at_venue, tradable
from trading.domain.brackets.machine import decide
from trading.domain.orders import OPEN, OrderStatus
from trading.domain.values import Market, Side

St = OrderStatus
WORKING = (St.NEW, St.PARTIALLY_FILLED)
GUARDS = (Role.STOP, Role.TRAILING, Role.TAKE_PROFIT)


def begun(leg: Leg) -> bool:
    """A stop that has traded a part has triggered: it is no level any more but a sale under way."""
    return leg.role is Role.STOP and leg.executed > 0


class Brackets(RuleBasedStateMachine):
    """One long position, its bracket, and a venue with a mind of its own."""

    @initialize(
        market=st.sampled_from([Market.spot, Market.usdm]),
        exits=st.sampled_from(
            [
                Exits(stop=900),
                Exits(stop=900, take_profits=(TakeProfit(1100),)),
                Exits(
                    stop=900, stop_limit=890, take_profits=(TakeProfit(1050, 5000), TakeProfit(1100, 5000))
                ),
                Exits(stop=900, take_profits=(TakeProfit(1050, 3000), TakeProfit(1100, 3000))),
                Exits(take_profits=(TakeProfit(1100),)),
            ]
        ),
        quantity=st.integers(1, 40),
    )
    def begin(self, market: Market, exits: Exits, quantity: int) -> None:
        self.market, self.exits = market, exits
        self.entry_left, self.entry_cancelled = quantity, False
        self.position, self.entered = 0, 0
        self.legs: list[Leg] = []
        self.state, self.reason = BracketState.PENDING, ""
        self.price, self.may_place, self.yielded = 1000, True, 0
        self.sold = [0] * len(exits.take_profits)
        self.closing, self.number, self.wait = False, 0, 0
        self.smaller: dict[str, int] = {}

    # what the world does

    @rule(part=st.integers(1, 20), at_once=st.booleans())
    def entry_fills(self, part: int, at_once: bool) -> None:
        if at_once:
            self.the_venue_keeps_up()
        part = min(part, self.entry_left)
        self.entry_left -= part
        self.position += part
        self.entered += part

    @rule()
    def somebody_cancels_the_entry(self) -> None:
        self.entry_left, self.entry_cancelled = 0, True

    @rule(price=st.sampled_from([880, 899, 900, 901, 950, 1000, 1050, 1099, 1100, 1150]))
    def the_market_moves(self, price: int) -> None:
        self.price = price

    @rule(may=st.booleans())
    def the_level_changes(self, may: bool) -> None:
        self.may_place = may

    @rule(steps=st.integers(0, 15))
    def somebody_wants_to_sell(self, steps: int) -> None:
        self.yielded = min(steps, self.position)

    @precondition(lambda self: self.yielded > 0)
    @rule()
    def the_sale_happens(self) -> None:
        locked = sum(leg.remaining for leg in self.of_lane("coins")) if self.market is Market.spot else 0
        part = min(self.yielded, self.position - locked)
        if part > 0:
            self.position -= part
        self.yielded = 0

    @rule(seconds=st.sampled_from([0, 1]))
    def a_refusal_is_waited_out(self, seconds: int) -> None:
        self.wait = seconds

    @rule(new=st.sampled_from([910, 930, 940]))
    def the_stop_is_moved(self, new: int) -> None:
        if self.exits.stop is not None:
            self.exits = replace(self.exits, stop=max(new, self.exits.stop), stop_limit=None)

    @rule(
        pick=st.integers(0, 50),
        what=st.sampled_from(["sent", "lost", "new", "refused", "cancelled", "fill", "amended", "kept"]),
    )
    def the_venue_answers(self, pick: int, what: str) -> None:
        open_legs = [leg for leg in self.legs if leg.status in OPEN]
        if not open_legs:
            return
        leg = open_legs[pick % len(open_legs)]
        if what == "sent" and leg.status is St.RESERVED:
            self.group_becomes(leg, St.SENDING)
        elif what == "lost" and leg.status is St.SENDING:
            self.group_becomes(leg, St.UNKNOWN)
        elif what == "new" and leg.status in (St.SENDING, St.UNKNOWN):
            self.group_becomes(leg, St.NEW)
        elif what == "refused" and leg.status in (St.RESERVED, St.SENDING):
            self.group_becomes(leg, St.REJECTED)
        elif what == "cancelled" and leg.status in WORKING and leg.cancel_requested:
            self.group_becomes(leg, St.CANCELED)
        elif what == "fill" and leg.status in WORKING:
            self.fill(leg, 1 + pick % leg.remaining)
        elif what in ("amended", "kept") and leg.amending:
            self.amended(leg, carried_out=what == "amended")

    @rule()
    def the_venue_keeps_up(self) -> None:
        """Everything sent rests, everything cancelled is gone, and we have looked."""
        for _ in range(3):
            for leg in [leg for leg in self.legs if leg.status in OPEN]:
                current = next(other for other in self.legs if other.key == leg.key)
                if current.status in (St.RESERVED, St.SENDING, St.UNKNOWN):
                    self.group_becomes(current, St.NEW)
                elif current.cancel_requested and current.status in WORKING:
                    self.group_becomes(current, St.CANCELED)
                elif current.amending:
                    self.amended(current, carried_out=True)
            self.we_step()

    def amended(self, leg: Leg, *, carried_out: bool) -> None:
        """The venue makes every order of the slice smaller, or refuses, or has nothing left to make smaller."""
        wanted = self.smaller.pop(leg.key)
        done = carried_out and leg.status in WORKING and wanted > leg.executed
        for other in [other for other in self.legs if other.group == leg.group]:
            self.put(
                replace(other, quantity=wanted, amending=False)
                if done and other.is_open
                else replace(other, amending=False, amendable=other.amendable and done)
            )

    def group_becomes(self, leg: Leg, status: OrderStatus) -> None:
        tied = self.market is Market.spot
        for other in list(self.legs):
            same = other.group == leg.group if tied else other.key == leg.key
            if same and other.status in OPEN:
                self.put(replace(other, status=status))

    def fill(self, leg: Leg, part: int) -> None:
        part = min(part, self.position)  # the venue cuts what only reduces
        if part <= 0:
            self.put(replace(leg, status=St.EXPIRED))
            return
        done = leg.executed + part
        self.position -= part
        self.closing = self.closing or leg.role is not Role.TAKE_PROFIT
        if leg.target is not None:
            self.sold[leg.target] += part
        self.put(
            replace(leg, executed=done, status=St.FILLED if done == leg.quantity else St.PARTIALLY_FILLED)
        )
        if self.market is Market.spot:  # the first fill of one ends the other
            for other in list(self.legs):
                if other.group == leg.group and other.key != leg.key and other.status in OPEN:
                    self.put(replace(other, status=St.EXPIRED))

    def put(self, leg: Leg) -> None:
        self.legs = [leg if other.key == leg.key else other for other in self.legs]

    # what we do

    def facts(self) -> Facts:
        return Facts(
            state=self.state,
            market=self.market,
            exit_side=Side.SELL,
            exits=self.exits,
            covered=self.position,
            entry_open=self.entry_left > 0,
            legs=tuple(
                replace(leg, amendable=leg.amendable and leg.status is St.NEW)
                for leg in self.legs
                if leg.status in OPEN
            ),
            now_ns=0,
            bid=self.price,
            ask=self.price + 1,
            yielded=self.yielded,
            taken=tuple(self.sold),
            entered=self.position + sum(self.sold),
            closing=self.closing,
            may_place=self.may_place,
            wait_ns=self.wait,
            exit_reason=self.reason,
            min_product=2700 if self.market is Market.spot else 0,
        )

    @rule()
    def we_step(self) -> None:
        decision = decide(self.facts())
        self.state, self.reason = decision.state, decision.exit_reason or self.reason
        if decision.cancel_entries:
            self.entry_left = 0
        for cancel in decision.cancels:
            self.cancel(cancel)
        for amend in decision.amends:
            self.amend(amend)
        for place in decision.places:
            self.place(place, decision)

    def amend(self, amend: Amend) -> None:
        leg = next(leg for leg in self.legs if leg.key == amend.key)
        assert self.market is Market.spot
        assert leg.status is St.NEW
        assert not leg.amending
        assert not leg.cancel_requested
        assert leg.executed < amend.quantity < leg.quantity, "only less, and more than it has traded"
        self.smaller[leg.key] = amend.quantity
        self.put(replace(leg, amending=True))

    def cancel(self, cancel: Cancel) -> None:
        leg = next(leg for leg in self.legs if leg.key == cancel.key)
        assert not leg.cancel_requested, "the same cancel twice"
        released = leg.status is St.RESERVED
        self.put(replace(leg, cancel_requested=True, status=St.RELEASED if released else leg.status))
        if released and self.market is Market.spot:
            self.group_becomes(leg, St.RELEASED)

    def place(self, place: Place, decision: Decision) -> None:
        assert self.may_place
        assert self.wait == 0
        assert place.slice.quantity > 0
        self.number += 1
        piece, group = place.slice, self.number
        roles: list[tuple[Role, dict[str, int | None]]] = []
        if place.at_market:
            roles = [(Role.EXIT, {"target": piece.target})]
        else:
            if piece.stop is not None:
                roles.append((Role.STOP, {"stop": piece.stop, "price": piece.stop_limit}))
            if piece.take_profit is not None:
                roles.append((Role.TAKE_PROFIT, {"price": piece.take_profit, "target": piece.target}))
            if self.market is Market.usdm:
                assert len(roles) == 1
        for role, prices in roles:
            self.legs.append(
                Leg(
                    f"{role}{group}",
                    role,
                    group,
                    piece.quantity,
                    0,
                    St.RESERVED,
                    amendable=self.market is Market.spot,
                    **prices,  # type: ignore[arg-type]
                )
            )

        # Nothing locks a position of USD-M, so it is the placing that must count.
        sells = place.at_market and self.market is Market.usdm
        lane = Role.EXIT if sells and piece.target is None else lane_of(piece, self.market)
        assert sum(leg.remaining for leg in self.of_lane(lane)) <= self.position

    def of_lane(self, lane: str) -> list[Leg]:
        """One leg of every open slice of a lane; what is sold at the market comes out of the same."""
        found = [
            max(legs, key=lambda leg: leg.remaining)
            for piece, legs in slices_at_venue(self.legs)
            if lane_of(piece, self.market) == lane
        ]
        exits = [leg for leg in self.legs if leg.role is Role.EXIT and leg.is_open]
        if lane == Role.TAKE_PROFIT:
            exits = [leg for leg in exits if leg.target is not None]
        return found + (exits if lane in ("coins", Role.TAKE_PROFIT, Role.EXIT) else [])

    # what must hold

    @invariant()
    def never_more_than_the_position(self) -> None:
        if not hasattr(self, "market"):
            return
        assert self.position >= 0
        if self.market is Market.spot:
            assert sum(leg.remaining for leg in self.of_lane("coins")) <= self.position

    @invariant()
    def never_two_live_sets(self) -> None:
        if not hasattr(self, "market"):
            return
        for lane in ("coins", Role.STOP, Role.TAKE_PROFIT, Role.TRAILING):
            stops = {
                piece.stop
                for piece, legs in slices_at_venue(self.legs)
                if lane_of(piece, self.market) == lane
                and piece.stop is not None
                and not any(leg.cancel_requested or begun(leg) for leg in legs)
            }
            assert len(stops) <= 1 or self.mid_move(stops)

    def mid_move(self, stops: set[int]) -> bool:
        # Moved while an older slice rests: only that older one may differ, and nothing new joins it.
        return self.exits.stop not in stops or len(stops) == 1

    def teardown(self) -> None:
        """Let the venue answer everything and the market stand still: all is guarded, closing or over."""
        if not hasattr(self, "market"):
            return
        self.may_place, self.wait, self.yielded, self.price = True, 0, 0, 1000
        for _ in range(40):
            for leg in [leg for leg in self.legs if leg.status in OPEN]:
                current = next(other for other in self.legs if other.key == leg.key)
                if current.status in (St.RESERVED, St.SENDING, St.UNKNOWN):
                    self.group_becomes(current, St.NEW)
                elif current.cancel_requested and current.status in WORKING:
                    self.group_becomes(current, St.CANCELED)
                elif current.amending:
                    self.amended(current, carried_out=True)
                elif current.role is Role.EXIT and current.status in WORKING:
                    self.fill(current, current.remaining)
            self.we_step()
            self.never_more_than_the_position()
        held = self.facts()
        decision = decide(held)
        assert not decision.places
        assert decision.unprotected == 0
        if self.state is BracketState.DONE:
            assert not [leg for leg in self.legs if leg.status in OPEN and leg.role in GUARDS]
        elif (
            self.position
            and self.exits.stops
            and tradable(held, self.position, (self.exits.stop, self.exits.stop_limit))
        ):
            guarded = sum(
                max(leg.remaining for leg in legs if leg.role is Role.STOP)
                for _, legs in slices_at_venue(self.legs)
                if any(leg.role is Role.STOP for leg in legs)
            )
            assert guarded > 0


TestBrackets = Brackets.TestCase
TestBrackets.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
