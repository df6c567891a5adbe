"""A pair compares the same interval, the same symbols, the same weights, each per capital; capital moved ends it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from mlregistry.models import Canary
from mlregistry.services.canaries import canary_check
from mlregistry.services.canary_pairing import paired_returns
from tests.factories.canaries import both_decided, earned
from trading.models import StrategyInstance
from trading.services.canaries import Pair

pytestmark = pytest.mark.django_db
D = Decimal


def test_the_champion_s_symbols_weigh_what_the_canary_s_do() -> None:
    # The canary: 100 in A, 300 in B. The allocator has since given the champion 3000 in A and 1000 in B.
    begun = {"1:A": Pair(D(0), D(100), D(0), D(3000)), "1:B": Pair(D(0), D(300), D(0), D(1000))}
    # In both symbols both earn alike: 10 % in A, -2 % in B.
    ended = {"1:A": Pair(D(10), D(100), D(300), D(3000)), "1:B": Pair(D(-6), D(300), D(-20), D(1000))}
    own, other = paired_returns(begun, ended)
    assert own == pytest.approx(0.25 * 0.10 - 0.75 * 0.02)
    assert other == pytest.approx(own)
    # By the champion's own weights it would look 6 % better than an equal: (300 - 20) / 4000 against 4 / 400.
    assert (300 - 20) / 4000 - own == pytest.approx(0.06)


def test_a_place_that_is_gone_has_made_nothing_more() -> None:
    begun = {"1:A": Pair(D(5), D(100), D(7), D(100)), "1:B": Pair(D(0), D(100), D(0), D(100))}
    assert paired_returns(begun, {"1:A": Pair(D(15), D(100), D(7), D(100))}) == (0.05, 0.0)


def check(canary: Canary, at: float) -> None:
    canary_check(canary_id=canary.pk, moment=canary.started_at + timedelta(seconds=at))


def test_capital_that_is_moved_ends_the_interval_there(canary: Canary) -> None:
    Canary.objects.update(rules={**canary.rules, "interval_s": 1000})
    both_decided()
    earned("trend-canary", 0.0)
    earned("trend", 0.0)
    check(canary, 0)
    earned("trend-canary", 5.0)
    earned("trend", 10.0)
    StrategyInstance.objects.filter(strategy__name="trend").update(allocation=1250)
    check(canary, 400)
    # What was earned was earned on 500 and on 2500, whatever is there now.
    (pair,) = canary.observations.values_list("canary_return", "champion_return")
    assert pair == (pytest.approx(0.01), pytest.approx(0.004))
    earned("trend-canary", 5.0)
    earned("trend", 22.5)
    check(canary, 1399)
    assert canary.observations.count() == 1
    check(canary, 1400)
    assert canary.observations.latest("number").champion_return == pytest.approx(0.01)


def test_an_interval_of_seconds_is_no_pair(canary: Canary) -> None:
    Canary.objects.update(rules={**canary.rules, "interval_s": 1000})
    both_decided()
    check(canary, 0)
    earned("trend", 100.0)
    StrategyInstance.objects.filter(strategy__name="trend").update(allocation=1250)
    check(canary, 59)
    assert canary.observations.count() == 0
    check(canary, 1058)
    assert canary.observations.count() == 0
    check(canary, 1059)
    (pair,) = canary.observations.values_list("canary_return", "champion_return")
    assert pair == (0.0, 0.0)


def test_how_a_canary_stands_is_told_with_what_it_still_needs(canary: Canary) -> None:
    from mlregistry.selectors.canaries import canary_detail, canary_members, canary_queryset

    Canary.objects.update(rules={**canary.rules, "dwell_s": 500, "fills": 3, "ramp": 0.25, "longest_s": 5000})
    Canary.objects.update(started_at=timezone.now() - timedelta(seconds=100))
    standing = canary_members(canary_queryset().get())["standing"]
    assert (standing["steps"], standing["share"], standing["fills"], standing["fills_needed"]) == (
        2,
        0.2,
        0,
        3,
    )
    assert standing["dwell_left_s"] == pytest.approx(400, abs=5)
    assert standing["ends_in_s"] == pytest.approx(4900, abs=5)
    # ln(1 / 0.025), ln(1 / 0.2): the first challenger has half of alpha.
    assert (standing["wins_at"], standing["harms_at"]) == (
        pytest.approx(3.6889, abs=1e-4),
        pytest.approx(1.6094, abs=1e-4),
    )
    assert canary_detail(canary_queryset().get())["observations"] == []
    Canary.objects.update(ended_at=timezone.now())
    assert canary_members(canary_queryset().get())["standing"] is None
