"""The router: by hand for each rule, and its invariants for any set."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.policies.located import DocumentError, node_of
from governance.domain.policies.schema import Raises
from governance.domain.policies.weights import STRATEGY_WEIGHTS, WeightSet, weight_set, weight_values
from governance.domain.routing import Place, Routed, overfull, raised_by_name, route, set_free_or_raised

REGIMES = {"trend": {"source": "hmm", "factors": {"bull": 1, "bear": "0.2"}}}


def chosen(weights: dict[str, Any], **changes: Any) -> WeightSet:
    return weight_set(weight_values(node_of({"weights": weights, **changes})))


def place(strategy: str, symbol: str = "BTCUSDT", weight: str = "0", **changes: Any) -> Place:
    number = sum(map(ord, strategy + symbol))
    return Place(number, strategy, "desk", symbol, Decimal(weight), **changes)


def routed(picked: WeightSet, *places: Place) -> dict[str, Routed]:
    return {f"{r.place.strategy}:{r.place.symbol}": r for r in route(picked, places)}


def test_a_weight_is_the_symbols_own_else_the_strategys_and_others_are_left_alone() -> None:
    found = routed(
        chosen({"trend": "0.5", "trend:ETHUSDT": "0.25"}),
        place("trend"),
        place("trend", "ETHUSDT"),
        place("swing", weight="0.3"),
    )
    assert {name: r.weight for name, r in found.items()} == {
        "trend:BTCUSDT": Decimal("0.5"),
        "trend:ETHUSDT": Decimal("0.25"),
    }


def test_canaries_of_a_symbol_share_their_cap_in_proportion() -> None:
    found = routed(
        chosen({"old": "0.5", "new": "0.3", "newer": "0.1"}, canaries=["new", "newer"]),
        place("old"),
        place("new"),
        place("newer"),
    )
    # 0.4 of canaries are cut to 0.2: halved. What they lose goes to nobody.
    assert [found[f"{n}:BTCUSDT"].weight for n in ("old", "new", "newer")] == [
        Decimal("0.5"),
        Decimal("0.15"),
        Decimal("0.05"),
    ]
    assert found["new:BTCUSDT"].rule == "canary"


@pytest.mark.parametrize(
    ("regime", "weight", "rule"),
    [
        ({"bull": 1.0, "bear": 0.0}, "0.5", "regime"),
        ({"bull": 0.25, "bear": 0.75}, "0.2", "regime"),  # 0.5 x (0.25 + 0.75 x 0.2) = 0.2
        ({"bull": 0.5, "chop": 0.5}, "0.3", "regime"),  # a regime not named: the lowest factor
        (None, "0.1", "regime_unknown"),
        ({}, "0.1", "regime_unknown"),
        ({"bull": 0.0}, "0.1", "regime_unknown"),
    ],
)
def test_a_regime_lowers_a_weight_and_an_unknown_one_to_its_lowest(
    regime: dict[str, float] | None, weight: str, rule: str
) -> None:
    found = routed(chosen({"trend": "0.5"}, regimes=REGIMES), place("trend", regime=regime))["trend:BTCUSDT"]
    assert (found.weight, found.rule) == (Decimal(weight), rule)


def test_a_small_rise_for_the_regimes_sake_waits_and_a_change_of_the_set_does_not() -> None:
    picked = chosen({"trend": "0.5"}, regimes=REGIMES, band="0.05")
    regime = {"bull": 0.5, "bear": 0.5}  # 0.3
    near = place("trend", weight="0.26", routed=Decimal("0.26"), regime=regime)
    assert (routed(picked, near)["trend:BTCUSDT"].weight, routed(picked, near)["trend:BTCUSDT"].rule) == (
        Decimal("0.26"),
        "band",
    )
    far = place("trend", weight="0.25", routed=Decimal("0.25"), regime=regime)
    assert routed(picked, far)["trend:BTCUSDT"].weight == Decimal("0.3")
    fresh = place("trend", weight="0.26", regime=regime)
    assert routed(picked, fresh)["trend:BTCUSDT"].weight == Decimal("0.3")


def test_no_band_holds_back_what_a_regime_takes() -> None:
    picked = chosen(
        {"trend": 1}, regimes={"trend": {"source": "hmm", "factors": {"calm": 1, "crash": 0}}}, band=1
    )
    for regime, weight in (({"calm": 0.1, "crash": 0.9}, "0.1"), (None, "0")):
        held = place("trend", weight="1", routed=Decimal(1), regime=regime)
        assert routed(picked, held)["trend:BTCUSDT"].weight == Decimal(weight)


def test_what_a_person_lowered_stays_down_whatever_set_or_regime_comes() -> None:
    picked = chosen({"trend": "0.5"})
    by_hand = place("trend", weight="0.1", ceiling=Decimal("0.1"), lowered_by="ann")
    assert (
        routed(picked, by_hand)["trend:BTCUSDT"].weight,
        routed(picked, by_hand)["trend:BTCUSDT"].rule,
    ) == (
        Decimal("0.1"),
        "lowered_by_hand",
    )
    assert "ann lowered it to 10.00 %" in routed(picked, by_hand)["trend:BTCUSDT"].reason
    # The regime had it lower still; when that is over it comes back to what the person left it.
    after = place(
        "trend", weight="0.02", routed=Decimal("0.02"), ceiling=Decimal("0.1"), regime={"bull": 1.0}
    )
    back = routed(chosen({"trend": "0.5"}, regimes=REGIMES), after)["trend:BTCUSDT"]
    assert (back.weight, back.rule) == (Decimal("0.1"), "lowered_by_hand")


def test_only_a_set_that_names_it_with_more_lifts_what_a_person_lowered() -> None:
    held = [place("trend", weight="0.1", ceiling=Decimal("0.1")), place("swing", ceiling=None)]

    def lifted(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
        return [item.strategy for item in raised_by_name(chosen(before), chosen(after), held)]

    assert lifted({"trend": "0.5"}, {"trend": "0.5", "swing": "0.3"}) == []
    assert lifted({"trend": "0.5"}, {"trend": "0.4"}) == []
    assert lifted({"trend": "0.5"}, {"trend": "0.5", "trend:BTCUSDT": "0.5"}) == []
    assert lifted({"trend": "0.5"}, {"trend": "0.6"}) == ["trend"]
    assert lifted({"swing": "0.5"}, {"trend": "0.2"}) == ["trend"]
    assert lifted({"swing": "0.5"}, {"trend": "0.1"}) == []


def test_what_a_person_took_from_one_canary_goes_to_no_other() -> None:
    picked = chosen({"new": "0.3", "newer": "0.1"}, canaries=["new", "newer"])
    found = routed(picked, place("new", ceiling=Decimal(0)), place("newer"))
    assert (found["new:BTCUSDT"].weight, found["newer:BTCUSDT"].weight) == (0, Decimal("0.05"))


def test_zero_is_zero_whatever_the_regime() -> None:
    found = routed(chosen({"trend": 0}, regimes=REGIMES), place("trend", weight="0.4", routed=Decimal("0.4")))
    assert (found["trend:BTCUSDT"].weight, found["trend:BTCUSDT"].rule) == (0, "zero")


def test_a_symbol_is_not_given_out_twice_and_nobody_is_squeezed_by_what_is_added() -> None:
    picked = chosen({"a": "0.8", "b": "0.6"})
    assert overfull(picked, [place("a"), place("b")]) == ["BTCUSDT of desk: 1.4"]
    found = routed(picked, place("a"), place("b"))
    assert found["a:BTCUSDT"].weight + found["b:BTCUSDT"].weight <= 1
    assert found["a:BTCUSDT"].rule == "sum"
    there = [place("a", weight="1"), place("b", weight="1")]
    assert overfull(chosen({"a": "0.9"}), there) == []
    assert routed(chosen({"a": 1}), *there)["a:BTCUSDT"].weight == 1


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ({"weights": {"a": "1.1"}}, "weights.a: expected 0 to 1"),
        ({"weights": {"a b": "1"}}, "expected `strategy` or `strategy:SYMBOL`"),
        ({"weights": {}, "regimes": {"a": {"source": "hmm", "factors": {}}}}, "at least one regime"),
        ({"weights": {}, "regimes": {"a": {"factors": {"x": 1}}}}, "source is missing"),
        ({"weight": {}}, "there is no 'weight' here"),
        ({}, "weights is missing"),
    ],
)
def test_a_set_that_makes_no_sense_is_refused(document: dict[str, Any], part: str) -> None:
    with pytest.raises(DocumentError, match=part):
        weight_values(node_of(document))


WITNESSES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "weights": ({"weights": {"trend": "0.5"}}, {"weights": {"trend": "0.4"}}),
    "canaries": ({"weights": {"trend": "0.5"}}, {"weights": {"trend": "0.5"}, "canaries": ["trend"]}),
    "max_canary_weight": (
        {"weights": {"trend": "0.5"}, "canaries": ["trend"]},
        {"weights": {"trend": "0.5"}, "canaries": ["trend"], "max_canary_weight": "0.1"},
    ),
    "regimes": ({"weights": {"trend": "0.5"}}, {"weights": {"trend": "0.5"}, "regimes": REGIMES}),
    "band": (
        {"weights": {"trend": "0.6"}, "regimes": REGIMES},
        {"weights": {"trend": "0.6"}, "regimes": REGIMES, "band": "0.1"},
    ),
}


@pytest.mark.parametrize("key", WITNESSES)
def test_each_member_of_a_set_changes_a_weight(key: str) -> None:
    before, after = WITNESSES[key]
    there = place("trend", weight="0.31", routed=Decimal("0.31"), regime={"bull": 0.5, "bear": 0.5})
    fresh = place("trend", "ETHUSDT", weight="0.31", regime={"bull": 0.5, "bear": 0.5})
    results = [
        [item.weight for item in route(chosen(doc.pop("weights"), **doc), [there, fresh])]
        for doc in (dict(before), dict(after))
    ]
    assert results[0] != results[1]


def test_every_member_of_a_set_is_shown_to_matter() -> None:
    """`regime_max_age_sec` is read by the selector: tests/integration/governance/test_routing.py."""
    assert WITNESSES.keys() | {"regime_max_age_sec"} == STRATEGY_WEIGHTS.fields.keys()


def test_which_changes_of_a_set_raise_risk() -> None:
    before = weight_values(node_of({"weights": {"a": "0.5", "b": "0.5"}, "canaries": ["b"]}))

    def loosened(**changes: Any) -> list[str]:
        plain = {"weights": {"a": "0.5", "b": "0.5"}, "canaries": ["b"], **changes}
        return STRATEGY_WEIGHTS.loosened(before, weight_values(node_of(plain)), "", Raises.ANY)

    assert loosened() == []
    assert loosened(weights={"a": "0.4", "b": 0}) == []
    assert loosened(weights={"a": "0.6", "b": "0.5"}) == ["weights.a"]
    assert loosened(weights={"a": "0.5", "b": "0.5", "c": "0.1"}) == ["weights.c"]
    assert loosened(canaries=[]) == ["canaries.b"]
    assert loosened(max_canary_weight="0.3") == ["max_canary_weight"]
    assert loosened(band="0.04") == ["band"]
    assert loosened(band=1) == []
    assert loosened(regimes=REGIMES) == ["regimes.trend"]


SHARES = st.decimals("0", "1", places=2)
PLACES = st.lists(
    st.builds(
        Place,
        instance_id=st.integers(1, 10**6),
        strategy=st.sampled_from(["a", "b", "c", "d"]),
        account=st.sampled_from(["x", "y"]),
        symbol=st.sampled_from(["BTCUSDT", "ETHUSDT"]),
        weight=SHARES,
        routed=st.none() | SHARES,
        ceiling=st.none() | SHARES,
        regime=st.none() | st.dictionaries(st.sampled_from(["bull", "bear"]), st.floats(0, 1)),
    ),
    max_size=8,
    unique_by=(lambda p: (p.strategy, p.account, p.symbol), lambda p: p.instance_id),
)
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "weights": st.dictionaries(st.sampled_from(["a", "b", "c", "a:BTCUSDT"]), SHARES),
    "canaries": st.lists(st.sampled_from(["b", "c"]), unique=True),
    "max_canary_weight": SHARES,
    "regimes": st.dictionaries(st.sampled_from(["a", "b", "c"]), st.just(REGIMES["trend"])),
    "band": SHARES,
}
SETS = st.fixed_dictionaries(MEMBERS)


@given(SETS, PLACES)
def test_no_set_gives_more_than_was_approved_or_fills_a_symbol_beyond_itself(
    document: dict[str, Any], places: list[Place]
) -> None:
    picked = weight_set(weight_values(node_of(document)))
    found = {item.place.instance_id: item for item in route(picked, places)}
    for item in found.values():
        assert 0 <= item.weight <= item.base
        assert item.place.ceiling is None or item.weight <= max(item.place.ceiling, item.place.weight)
        assert item.reason
        if item.base == 0:
            assert item.weight == 0
    for account in ("x", "y"):
        for symbol in ("BTCUSDT", "ETHUSDT"):
            group = [p for p in places if (p.account, p.symbol) == (account, symbol)]
            after = [found[p.instance_id].weight if p.instance_id in found else p.weight for p in group]
            assert sum(after) <= max(1, sum(p.weight for p in group))
            canaries = [
                found[p.instance_id].weight
                for p in group
                if p.instance_id in found and p.strategy in picked.canaries
            ]
            assert sum(canaries) <= picked.max_canary_weight


def allows_more(before: dict[str, Any], after: dict[str, Any], *places: Place) -> list[str]:
    return set_free_or_raised(chosen(before), chosen(after), places)


def test_a_strategy_taken_out_of_the_set_is_out_of_reach_of_its_regime_and_caps() -> None:
    there = [place("trend", weight="0.1"), canary("0.1")]
    assert allows_more({"trend": "0.5"}, {}, *there) == ["trend", "trend:BTCUSDT"]
    assert allows_more({"trend": "0.5"}, {"trend": 0}, *there) == []
    assert allows_more({}, {}, *there) == []
    # A canary of the registry goes with its champion, with what it has of its own, else with what the champion has.
    both = [place("old", weight="0.1"), canary("0.1")]
    assert allows_more({"old": "0.5"}, {}, *both) == ["old", "old-canary:BTCUSDT", "old:BTCUSDT"]
    named = {"old": "0.5", "old-canary": "0.1"}
    assert allows_more(named, {"old": "0.5"}, *both) == ["old-canary", "old-canary:BTCUSDT"]
    assert allows_more(named, {"old": "0.1"}, *both) == ["old-canary"]


def test_what_a_set_says_of_a_symbol_nobody_is_on_yet_counts_as_well() -> None:
    there = place("trend", weight="0.1")
    assert allows_more({"trend": "0.1"}, {"trend": "0.1", "trend:XRPUSDT": 1}, there) == ["trend:XRPUSDT"]
    assert allows_more({"trend": 1, "trend:XRPUSDT": "0.1"}, {"trend": 1}, there) == ["trend:XRPUSDT"]
    assert allows_more({"trend": "0.1"}, {"trend": "0.1", "trend:XRPUSDT": "0.1"}, there) == []
    assert allows_more({"swing": "0.1"}, {}, there) == ["swing"]
    assert allows_more({}, {"swing": "0.1"}, there) == ["swing"]
    # Named for the first time with what it has: the set reaches it from now on.
    assert allows_more({}, {"trend": "0.1"}, there) == []


ALONE = PLACES.map(lambda places: list({p.symbol + p.account: p for p in places}.values()))


@given(
    before=SETS,
    after=st.fixed_dictionaries({}, optional=MEMBERS),
    places=ALONE,
    told=st.none() | st.dictionaries(st.sampled_from(["bull", "bear"]), st.floats(0, 1)),
)
def test_what_one_person_may_change_alone_leaves_no_weight_higher_whatever_the_regime(
    before: dict[str, Any], after: dict[str, Any], places: list[Place], told: dict[str, float] | None
) -> None:
    old, new = (weight_values(node_of(document)) for document in (before, {**before, **after}))
    sets = weight_set(old), weight_set(new)
    places = [replace(one, regime=told) for one in places]
    if STRATEGY_WEIGHTS.loosened({**old, "weights": {}}, {**new, "weights": {}}, "", Raises.ANY):
        return
    if set_free_or_raised(*sets, places):
        return
    was, is_now = ({r.place.instance_id: r.weight for r in route(picked, places)} for picked in sets)
    for one in places:
        assert is_now.get(one.instance_id, one.weight) <= was.get(one.instance_id, one.weight)


def canary(weight: str = "1", *, share: str = "0.2") -> Place:
    return place("old-canary", weight=weight, follows="old", share=Fraction(share))


def champion(weight: str = "1", *, share: str = "0.8") -> Place:
    return place("old", weight=weight, share=Fraction(share))


def test_a_canary_of_the_registry_has_the_weight_of_what_it_is_on_trial_against() -> None:
    found = routed(chosen({"old": "0.5"}), champion(), canary())
    assert (found["old:BTCUSDT"].weight, found["old-canary:BTCUSDT"].weight) == (
        Decimal("0.5"),
        Decimal("0.5"),
    )
    assert "old, its champion," in found["old-canary:BTCUSDT"].reason


def test_an_orderly_exit_of_the_champion_takes_its_canary_along() -> None:
    found = routed(chosen({"old": 0}), champion(), canary())
    assert {r.weight for r in found.values()} == {Decimal(0)}


def test_a_registry_canary_counts_by_its_capital_against_the_canaries_cap() -> None:
    # A fifth of the capital at a weight of 1 is 20 % of the symbol; half of that is allowed.
    found = routed(chosen({"old": 1}, max_canary_weight="0.1"), champion(), canary())
    assert found["old-canary:BTCUSDT"].weight == Decimal("0.5")
    assert found["old-canary:BTCUSDT"].rule == "canary"
    assert found["old:BTCUSDT"].weight == 1, "what it loses goes to nobody, and nobody pays for it"
    assert routed(chosen({"old": 1}), champion(), canary())["old-canary:BTCUSDT"].weight == 1


def test_a_canary_never_has_more_than_its_champion_whoever_lowered_that() -> None:
    lowered = place("old", weight="0.2", share=Fraction(4, 5), ceiling=Decimal("0.2"))
    found = routed(chosen({"old": "0.5"}), lowered, canary("0.2"))
    assert found["old:BTCUSDT"].rule == "lowered_by_hand"
    assert (found["old-canary:BTCUSDT"].weight, found["old-canary:BTCUSDT"].rule) == (
        Decimal("0.2"),
        "champion",
    )


def test_a_canary_and_its_champion_fill_a_symbol_once_between_them() -> None:
    assert overfull(chosen({"old": 1}), [champion(), canary()]) == []
    assert overfull(chosen({"old": 1, "swing": "0.1"}), [champion("0.5"), canary("0.5"), place("swing")])


@given(
    weights=st.dictionaries(st.sampled_from(["old", "swing"]), st.integers(0, 100), min_size=1),
    cap=st.integers(0, 100),
    share=st.fractions(0, Fraction(1, 4)),
    now=st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100)),
)
def test_no_canary_passes_its_cap_or_its_champion_and_no_symbol_is_given_out_twice(
    weights: dict[str, int], cap: int, share: Fraction, now: tuple[int, int, int]
) -> None:
    picked = chosen(
        {n: str(Decimal(w) / 100) for n, w in weights.items()}, max_canary_weight=str(Decimal(cap) / 100)
    )
    held = [str(Decimal(n) / 100) for n in now]
    places = [
        place("old", weight=held[0], share=1 - share),
        place("old-canary", weight=min(held[0], held[1], key=Decimal), follows="old", share=share),
        place("swing", weight=held[2]),
    ]
    found = {r.place.strategy: r.weight for r in route(picked, places)}
    after = {p.strategy: found.get(p.strategy, p.weight) for p in places}
    before = sum(p.share * Fraction(p.weight) for p in places)
    total = sum(p.share * Fraction(after[p.strategy]) for p in places)
    assert after["old-canary"] <= after["old"]
    if "old-canary" in found:
        assert share * Fraction(found["old-canary"]) <= Fraction(cap, 100)
    assert total <= max(1, before)
