"""Brackets and plans of a hedge-mode account on the paper exchange's USD-M market."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nautilus_site.common.errors import ApplicationError
from tests.integration.trading.services.brackets.conftest import Rig
from tests.integration.trading.services.brackets.test_strategies_protected import FAST, Follower
from trading.domain.brackets import BracketState
from trading.models import Bracket, Order, StrategyInstance

S = BracketState


def test_long_and_short_are_guarded_side_by_side(hedged: Rig) -> None:
    hedged.position_side = "LONG"
    hedged.buy("0.02", stop=hedged.near("0.95"), take_profits=((hedged.near("1.05"), None),))
    assert hedged.settle().state == S.PROTECTED
    hedged.position_side = "SHORT"
    hedged.ask("SELL", "0.03", stop=hedged.near("1.02"))
    assert hedged.settle().state == S.PROTECTED
    found = sorted(f"{o.position_side} {o.type} {o.quantity.normalize():f}" for o in hedged.listed())
    assert found == ["LONG STOP_MARKET 0.02", "LONG TAKE_PROFIT_MARKET 0.02", "SHORT STOP_MARKET 0.03"]
    hedged.drive_to(hedged.near("1.03"))
    hedged.settle()
    assert {b.position_side: b.state for b in Bracket.objects.all()} == {"LONG": "PROTECTED", "SHORT": "DONE"}
    assert hedged.desk.position(side="SHORT").quantity == 0
    assert hedged.desk.position(side="LONG").quantity == Decimal("0.02")


@pytest.mark.parametrize(
    ("position_side", "side", "reduce_only", "words"),
    [("BOTH", "BUY", False, "LONG or SHORT"), ("SHORT", "SELL", True, "does not reduce")],
)
def test_an_order_of_no_position_or_of_the_wrong_one_is_refused(
    hedged: Rig, position_side: str, side: str, reduce_only: bool, words: str
) -> None:
    hedged.position_side = position_side
    with pytest.raises(ApplicationError) as refusal:
        hedged.ask(side, "0.01", reduce_only=reduce_only)
    assert words in refusal.value.message
    assert not Order.objects.exists()


def test_an_order_that_closes_a_position_carries_no_exits(hedged: Rig) -> None:
    hedged.position_side = "LONG"
    with pytest.raises(ApplicationError) as refusal:
        hedged.ask("SELL", "0.01", stop=hedged.near("1.02"))
    assert "carries no exits" in refusal.value.message


def test_a_strategy_that_turns_closes_its_long_and_opens_a_short_guarded(hedged: Rig) -> None:
    from trading.services.planning import plan_refresh

    follower = Follower(hedged, "trend_follow", FAST)
    follower.bars(0.95, 0.955, 0.96, 0.965, 0.97, 0.98, 0.99, 1.0)
    follower.decide()
    hedged.position_side = "LONG"
    follower.round()
    follower.round()
    assert hedged.settle().state == S.PROTECTED
    held = hedged.position().quantity
    assert held > 0

    stop = float(hedged.near("1.05"))
    StrategyInstance.objects.filter(pk=follower.pk).update(target=-0.5, protection={"stop": stop})
    for _ in range(4):
        plan_refresh(account_id=hedged.desk.account.pk, instrument_id=hedged.desk.btc.pk)
        follower.round()
    hedged.position_side = "SHORT"
    bracket = hedged.settle()
    assert hedged.desk.position(side="LONG").quantity == 0
    assert hedged.position().quantity < 0
    assert (bracket.position_side, bracket.state) == ("SHORT", S.PROTECTED)
    assert {o.position_side for o in hedged.listed()} == {"SHORT"}
