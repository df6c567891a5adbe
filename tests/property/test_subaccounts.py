"""Owners sum to the account in every number, whatever is traded, split, crossed, flipped or told late."""

from collections import defaultdict
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.instruments import spot, usdm
from trading.domain.orders import Fill
from trading.domain.planner import Desire, crossings
from trading.domain.portfolio import Position, market_value, unrealized
from trading.domain.subaccounts import (
    NETTING,
    Book,
    OwnedFill,
    Transfer,
    fold_book,
    netting,
    signed_cost,
    split_fill,
    split_signed,
)
from trading.domain.values import Side, from_units

OWNERS = ["", "trend", "swing", "hmm"]
MARKETS = {"spot": spot(), "usdm": usdm()}


@st.composite
def histories(draw, market=None):
    """Fills of orders with frozen shares, and transfers between them, on one instrument."""
    instrument = MARKETS[market or draw(st.sampled_from(sorted(MARKETS)))]
    orders = [
        draw(st.dictionaries(st.sampled_from(OWNERS), st.integers(1, 10**8), max_size=3)) for _ in range(3)
    ]
    fills, transfers = [], []
    for trade_id in range(1, draw(st.integers(2, 12))):
        ticks, steps = draw(st.integers(1, 10_000)), draw(st.integers(1, 400))
        quote = instrument.notional_units(ticks, steps)
        asset = draw(st.sampled_from(["USDT", "BNB", instrument.base_asset]))
        ceiling = {"USDT": quote, "BNB": 10**8}.get(asset, steps * instrument.step_units)
        fee = draw(st.integers(0, max(ceiling // 100, 0)))
        number = draw(st.integers(0, len(orders) - 1))
        value = {"USDT": fee, "BNB": fee * 600}.get(asset, fee * quote // (steps * instrument.step_units))
        side = draw(st.sampled_from(list(Side)))
        fill = Fill(trade_id, "BTCUSDT", side, ticks, steps, quote, fee, asset, False, 0)
        fills.append(OwnedFill(fill, value, orders[number], number))
        if draw(st.booleans()):
            quantity = draw(st.integers(1, 50)) * instrument.step_units
            taker, giver = draw(st.permutations(OWNERS))[:2]
            transfers.append(Transfer(taker, giver, quantity, draw(st.integers(1, 10**10)), trade_id))
    return instrument, fills, transfers


def wallets(flows):
    totals = defaultdict(int)
    for (owner, asset, _), units in flows.items():
        totals[owner, asset] += units
    return totals


def account_flows(instrument, fills, position):
    """What the account's wallet gained, from the fills alone: on USD-M what the position realised."""
    totals = defaultdict(int)
    for owned in fills:
        fill = owned.fill
        if instrument.market == "spot":
            totals[instrument.base_asset] += fill.side.sign * fill.quantity * instrument.step_units
            totals["USDT"] -= fill.side.sign * fill.quote
        totals[fill.fee_asset] -= fill.fee
    if instrument.market == "usdm":
        totals["USDT"] += position.realized
    return {asset: units for asset, units in totals.items() if units}


@settings(max_examples=150, deadline=None)
@given(histories())
def test_owners_sum_to_the_account_in_every_asset_and_in_quantity(history):
    instrument, fills, transfers = history
    flows = {}
    book = fold_book(fills, transfers, instrument, flows=flows)
    assert sum(held.quantity for held in book.owners.values()) == book.position.quantity
    assert sum(held.fees for held in book.owners.values()) == book.position.fees
    by_asset = defaultdict(int)
    for (_, asset), units in wallets(flows).items():
        by_asset[asset] += units
    assert {a: u for a, u in by_asset.items() if u} == account_flows(instrument, fills, book.position)


@settings(max_examples=150, deadline=None)
@given(histories(), st.integers(1, 10_000))
def test_what_owners_are_worth_is_what_the_account_is_worth_and_netting_is_nothing(history, mark):
    instrument, fills, transfers = history
    price = instrument.price(mark)
    book = fold_book(fills, transfers, instrument)
    rest = netting(book)
    assert rest.realized - rest.cost == 0, "what its wallet gained its cost has lost"
    owners = sum(held.realized + unrealized(held, price) for held in book.owners.values())
    account = book.position.realized + unrealized(book.position, price)
    assert abs(owners - account) <= len(book.owners) + 1  # each value is cut to a whole unit


@settings(max_examples=100, deadline=None)
@given(histories(market="usdm"))
def test_the_wallet_of_an_owner_has_what_it_realised_less_its_fees(history):
    instrument, fills, transfers = history
    flows = {}
    book = fold_book(fills, transfers, instrument, flows=flows)
    gained = defaultdict(int)
    for (owner, asset, kind), units in flows.items():
        if asset == "USDT" and kind != "fee":
            gained[owner] += units
    for owner, held in book.owners.items():
        assert gained[owner] == held.realized
    assert gained[NETTING] == netting(book).realized


@settings(max_examples=100, deadline=None)
@given(histories(market="usdm"))
def test_realised_is_what_came_back_less_what_was_paid_for_what_is_left(history):
    """An identity of any average cost: realised = signed cost of what is open less the signed flow of quote."""
    instrument, fills, transfers = history
    book = fold_book(fills, transfers, instrument)
    flow = sum(owned.fill.side.sign * owned.fill.quote for owned in fills)
    assert book.position.realized == signed_cost(book.position) - flow


@settings(max_examples=100, deadline=None)
@given(histories(), st.data())
def test_a_fold_may_stop_anywhere_and_go_on(history, data):
    instrument, fills, transfers = history
    at = data.draw(st.integers(0, len(fills)))
    whole = fold_book(fills, transfers, instrument)
    last = fills[at - 1].fill.trade_id if at else 0
    start = fold_book(fills[:at], [t for t in transfers if t.after_trade_id < last], instrument)
    rest = [t for t in transfers if t.after_trade_id >= last]
    assert fold_book(fills[at:], rest, instrument, start) == whole


@given(
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(1, 10**8), min_size=2),
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
)
def test_two_owners_get_to_the_step_what_the_whole_order_would_give(shares, pieces):
    taken = {}
    for piece in pieces:
        parts = split_fill(piece, shares, taken)
        assert sum(parts.values()) == piece
        for owner, steps in parts.items():
            taken[owner] = taken.get(owner, 0) + steps
    assert taken == split_fill(sum(pieces), shares, {})


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(1, 10**8), min_size=1),
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
)
def test_pieces_are_split_without_loss_and_each_owner_stays_within_a_few_steps_of_its_share(shares, pieces):
    taken = {}
    for piece in pieces:
        parts = split_fill(piece, shares, taken)
        assert sum(parts.values()) == piece
        assert all(steps > 0 for steps in parts.values())
        for owner, steps in parts.items():
            taken[owner] = taken.get(owner, 0) + steps
    whole = sum(shares.values())
    for owner, weight in shares.items():
        due = Fraction(weight * sum(pieces), whole)
        assert abs(taken.get(owner, 0) - due) < len(shares)


@given(
    st.integers(-(10**12), 10**12), st.dictionaries(st.sampled_from("abcd"), st.integers(-(10**10), 10**10))
)
def test_funding_is_split_to_the_last_unit_and_follows_the_sign_of_each_quantity(amount, holdings):
    shares = split_signed(amount, holdings)
    if sum(holdings.values()) == 0:
        assert shares == {}
    else:
        assert sum(shares.values()) == amount


@given(
    st.lists(
        st.tuples(st.floats(-1, 1), st.integers(0, 5000), st.integers(-(10**9), 10**9)),
        min_size=2,
        max_size=5,
    ),
    st.integers(1, 100_000),
)
def test_what_crosses_moves_everybody_towards_what_it_wants_and_changes_no_total(wants, ticks):
    from decimal import Decimal

    instrument = MARKETS["usdm"]
    price = instrument.price(ticks)
    desires = [
        Desire(str(n), target, Decimal(1), Decimal(allocation), "", attributed)
        for n, (target, allocation, attributed) in enumerate(wants)
    ]
    moved = defaultdict(int)
    for taker, giver, steps in crossings(desires, instrument, price, rebalance_band=Decimal("0.1")):
        assert taker != giver
        assert steps > 0
        moved[taker] += steps
        moved[giver] -= steps
    assert sum(moved.values()) == 0
    for desire in desires:
        want = Fraction(desire.allocation) * Fraction(Decimal(repr(desire.target))) / Fraction(price) * 10**8
        left = want - desire.attributed
        step = moved[desire.strategy] * instrument.step_units
        assert step * left >= 0
        assert abs(step) <= abs(left)


def test_an_empty_book_is_worth_nothing():
    assert Book().position == Position()
    assert market_value(0, from_units(1)) == 0
