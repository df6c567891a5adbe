"""When sweeps are due, what they cost, and when a difference counts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from trading.domain.evidence import halts, is_confirmed, judge_balances, judge_positions
from trading.domain.keys import key_faults
from trading.domain.sweeps import (
    SPOT_WEIGHTS,
    USDM_WEIGHTS,
    Standing,
    Sweep,
    deep_slice,
    next_sweep,
    weight_per_minute,
)

CALM = Standing(
    opened=True,
    reconciled=True,
    gap=False,
    trouble=False,
    failures=0,
    open_orders_age_s=1,
    trades_age_s=11,
    attempt_age_s=11,
)
D = Decimal


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"open_orders_age_s": 9.9}, None),
        ({"open_orders_age_s": 10}, Sweep.OPEN_ORDERS),
        ({"trades_age_s": 29.9, "open_orders_age_s": 2}, None),
        ({"trades_age_s": 30}, Sweep.TRADES),
        ({"trades_age_s": 30, "deep_due": True}, Sweep.DEEP),
        ({"trades_age_s": 30, "deep_due": True, "nightly_due": True}, Sweep.NIGHTLY),
        ({"gap": True}, Sweep.TRADES),
        ({"gap": True, "attempt_age_s": 4.9}, None),
        ({"trouble": True, "failures": 1, "attempt_age_s": 5}, Sweep.TRADES),
        ({"trouble": True, "failures": 1, "attempt_age_s": 4.9}, None),
        ({"trouble": True, "failures": 2, "attempt_age_s": 9.9}, None),
        ({"opened": False}, Sweep.STARTUP),
        ({"reconciled": False}, Sweep.STARTUP),
        ({"reconciled": False, "failures": 3, "attempt_age_s": 11}, None),
        ({"reconciled": False, "attempt_age_s": None}, Sweep.STARTUP),
    ],
)
def test_what_is_due_next(changes: dict, expected: Sweep | None) -> None:
    assert next_sweep(replace(CALM, **changes)) == expected


@pytest.mark.parametrize("failures", [1, 5, 50, 5000])
def test_no_sweep_ever_gives_up(failures: int) -> None:
    """Others stop after three attempts, or repeat for ever without a sign (pain 7)."""
    standing = replace(CALM, trouble=True, failures=failures, attempt_age_s=30)
    assert next_sweep(standing) == Sweep.TRADES


def test_every_symbol_has_its_turn_within_the_deep_period_and_none_in_a_burst() -> None:
    assert [deep_slice(n) for n in (0, 1, 30, 31, 200)] == [1, 1, 1, 2, 7]
    assert deep_slice(200) * (900 / 30) >= 200


def test_two_hundred_symbols_fit_into_half_of_each_venues_weight() -> None:
    # Spot: 6 x 80 open orders; twice 2 x 20 balances, 10 x 20 trades, 7 x (20 + 20) deep = 480 + 2 x 520.
    assert weight_per_minute(SPOT_WEIGHTS, symbols=200, moved=200) == 1520
    # USD-M: 6 x 80; twice 2 x 5, 5 positions, 30 income, 10 x 5, 7 x (5 + 5) = 480 + 2 x 165.
    assert weight_per_minute(USDM_WEIGHTS, symbols=200, moved=200) == 810
    for weights in (SPOT_WEIGHTS, USDM_WEIGHTS):
        assert weight_per_minute(weights, symbols=200, moved=200) <= weights.limit_per_minute / 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"same_for_s": 4.9}, False),
        ({"reads": 1}, False),
        ({"second_evidence": False}, False),
        ({"doubted": True}, False),
    ],
)
def test_a_difference_counts_by_two_reads_and_a_second_kind_of_evidence(
    changes: dict, expected: bool
) -> None:
    case = {"same_for_s": 5.0, "reads": 2, "second_evidence": True, "doubted": False, **changes}
    assert is_confirmed(**case) is expected


def test_attempts_are_bounded_before_a_halt() -> None:
    assert [halts(n) for n in (0, 4, 5, 50)] == [False, False, True, True]


def test_an_account_without_any_balance_is_not_believed() -> None:
    """2025-10-10: zero balances for 33 minutes."""
    verdict = judge_balances({"USDT": D(5), "BTC": D(1)}, {})
    assert (dict(verdict.differing), bool(verdict.doubt)) == ({}, True)
    assert judge_balances({}, {}).doubt == ""
    assert judge_balances({"USDT": D(0)}, {"USDT": D(0)}).doubt == ""


def test_an_asset_the_venues_own_open_orders_hold_cannot_be_gone() -> None:
    ours = {"USDT": D(5), "BTC": D(1)}
    assert judge_balances(ours, {"BTC": D(1)}, {"USDT"}).doubt
    assert judge_balances(ours, {"BTC": D(1)}).differing == {"USDT": (D(5), D(0))}


def test_every_asset_of_either_side_is_compared_to_the_last_digit() -> None:
    verdict = judge_balances({"USDT": D("5.00000000"), "BTC": D(1)}, {"USDT": D(5), "DOGE": D("0.00000001")})
    assert verdict.differing == {"BTC": (D(1), D(0)), "DOGE": (D(0), D("0.00000001"))}


def test_positions_that_are_all_gone_are_not_believed_and_a_single_one_is_a_difference() -> None:
    btc, eth = ("BTCUSDT", "BOTH"), ("ETHUSDT", "BOTH")
    gone, doubt = judge_positions({btc: D(1), eth: D(2)}, {}, wallet_is_empty=False)
    assert (gone, bool(doubt)) == ({}, True)
    assert judge_positions({btc: D(1)}, {}, wallet_is_empty=True)[1]
    assert judge_positions({btc: D(1)}, {}, wallet_is_empty=False) == ({btc: (D(1), D(0))}, "")
    assert judge_positions({btc: D(1)}, {btc: D(1)}, wallet_is_empty=False) == ({}, "")


@pytest.mark.parametrize(
    ("flags", "live", "faults"),
    [
        ({"enableReading": True, "enableSpotAndMarginTrading": True, "ipRestrict": True}, True, 0),
        ({"enableSpotAndMarginTrading": True, "ipRestrict": False}, False, 0),
        ({"enableSpotAndMarginTrading": True, "ipRestrict": False}, True, 1),
        ({"enableSpotAndMarginTrading": True, "ipRestrict": True, "enableMargin": True}, True, 1),
        ({"enableSpotAndMarginTrading": True, "ipRestrict": True, "enableWithdrawals": True}, False, 1),
        ({"enableSpotAndMarginTrading": True, "permitsUniversalTransfer": True}, False, 1),
        ({"enableSpotAndMarginTrading": False}, False, 1),
        ({"enableSpotAndMarginTrading": True, "enableSomethingNew": True}, False, 1),
    ],
)
def test_a_key_that_can_do_more_or_less_than_trade_is_refused(flags: dict, live: bool, faults: int) -> None:
    assert len(key_faults(flags, market="spot", live=live)) == faults
