"""`manage.py parity` of a market maker: its steps at books, decided again from what each was recorded to have seen."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from nautilus_site.common.clock import now
from trading.models import Fill, ObservedStep, Order
from trading.services.parity import ParityReport, parity_check
from trading.services.strategies import recording

if TYPE_CHECKING:
    from tests.integration.trading.services.quoting.conftest import Maker

NOT_KEPT = "what they saw is not kept"
STEPS = 16
"""Two bars, and fourteen books."""


def quote_a_while(maker: Maker) -> None:
    """Two minutes of a moving book: quotes on both sides, a bid that is taken, and the books after it."""
    maker.close_bar(60_000.0)
    for n in range(6):
        maker.round(f"{60_000 + 3 * n}.00", f"{60_001 + 3 * n}.00")
    maker.round("60015.00", "60016.00")  # a moved quote leaves first and is placed anew by the next look
    bid = next(Decimal(price) for side, price, _ in maker.standing() if side == "BUY")
    maker.trade_down_to(str(bid))
    maker.round(str(bid - 1), str(bid), times=3)
    maker.close_bar(float(bid))
    maker.round(str(bid - 2), str(bid - 1), times=4)


def checked(maker: Maker) -> ParityReport:
    (report,) = parity_check(strategy=maker.strategy.name)
    return report


def test_what_was_quoted_live_is_quoted_again_from_what_was_seen(maker: Maker) -> None:
    quote_a_while(maker)
    report = checked(maker)
    assert report.comparison.differences == ()
    assert report.comparison.same == ObservedStep.objects.count() == STEPS
    assert report.skipped == {NOT_KEPT: 1}, "the decision it warmed up with"
    seen = [row for row in ObservedStep.objects.order_by("pk") if row.seen["fills"]]
    assert len(seen) == 2, "what it was given before and the bid that was taken were shown to one step each"
    assert any(row.seen["quotes"] for row in ObservedStep.objects.all())
    assert {row.trigger for row in ObservedStep.objects.all()} == {"bar", "book"}


def test_the_parts_of_its_result_add_up_and_the_live_part_is_that_of_its_fills(maker: Maker) -> None:
    quote_a_while(maker)
    report = checked(maker)
    split = report.split
    assert split is not None
    assert split.signal == 0, "the decisions are the same"
    parts = split.signal + split.latency + split.fill + split.fee + split.carried
    assert parts == split.difference
    steps = list(ObservedStep.objects.order_by("pk"))
    last = (Decimal(str(steps[-1].seen["bid"])) + Decimal(str(steps[-1].seen["ask"]))) / 2
    first = (Decimal(str(steps[0].seen["bid"])) + Decimal(str(steps[0].seen["ask"]))) / 2
    held = Decimal(str(steps[0].seen["position"]))
    fills = Fill.objects.filter(order__type="LIMIT_MAKER").order_by("pk")
    assert len(fills) == 1
    (fill,) = fills
    by_hand = held * (last - first) + fill.quantity * (last - fill.price) - fill.commission_quote
    assert split.live == by_hand
    assert report.orders == Order.objects.filter(type="LIMIT_MAKER").count() > 2


def test_a_wrong_quote_and_a_lost_step_are_named(maker: Maker) -> None:
    quote_a_while(maker)
    rows = list(ObservedStep.objects.filter(trigger="book").order_by("pk"))
    wrong: dict[str, Any] = rows[1].said
    wrong["quotes"]["bid_size"] *= 2
    rows[1].save()
    rows[4].delete()
    report = checked(maker)
    found = {d.close_ns: d.kind for d in report.comparison.differences}
    assert found[rows[1].seen_ns] == "other"
    assert "memory" in found.values(), "what it remembered of the book is not what the rest leads to"
    out = io.StringIO()
    with pytest.raises(CommandError, match="some decisions differ"):
        call_command("parity", maker.strategy.name, stdout=out)
    assert " at " in out.getvalue()


def test_the_command_says_what_it_compared(maker: Maker) -> None:
    quote_a_while(maker)
    out = io.StringIO()
    call_command("parity", maker.strategy.name, "--json", stdout=out)
    (told,) = json.loads(out.getvalue())["instances"]
    assert (told["same"], told["compared"], told["differences"]) == (STEPS, STEPS, [])
    assert {"signal", "latency", "fill", "fee"} <= set(told["result"])


def test_steps_of_other_parameters_are_not_compared(maker: Maker) -> None:
    quote_a_while(maker)
    strategy = maker.strategy
    strategy.refresh_from_db()
    strategy.parameters = {**strategy.parameters, "gamma": 0.1}
    strategy.save()
    report = checked(maker)
    assert report.skipped == {"made with other parameters": STEPS, NOT_KEPT: 1}
    assert report.comparison.compared == 0
    with pytest.raises(CommandError, match="nothing to compare"):
        call_command("parity", strategy.name, stdout=io.StringIO())


def test_what_is_past_its_time_is_deleted_and_said_to_be_gone(maker: Maker) -> None:
    quote_a_while(maker)
    first_bar = ObservedStep.objects.filter(trigger="bar").order_by("-pk")[0]
    old = ObservedStep.objects.filter(pk__lt=first_bar.pk)
    count = old.update(stepped_at=F("stepped_at") - recording.KEPT - timedelta(seconds=1))
    assert recording.steps_prune() == count > 5
    assert recording.steps_prune() == 0
    report = checked(maker)
    assert (report.comparison.same, report.comparison.differences) == (5, ())
    assert set(report.skipped) == {NOT_KEPT}
    ObservedStep.objects.update(stepped_at=now() - 2 * recording.KEPT)
    recording.steps_prune()
    report = checked(maker)
    assert report.comparison.compared == 0
    assert report.skipped[NOT_KEPT] > 0
