"""The router: the approved weights, lowered for canaries, regimes and full symbols; never raised above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from typing import Any

from governance.domain.policies.weights import WeightSet

_GRAIN = Decimal("0.0001")
_FINEST = Decimal("0.00000001")
"""A weight is kept with so many places; one with more would never be the one in force."""


@dataclass(frozen=True, slots=True)
class Place:
    """A strategy on one symbol of one account.

    Attributes
    ----------
    weight : in force.  routed : what this weight set last gave it, None when nothing yet.
    ceiling : what somebody lowered it to by hand, None where nobody did.  lowered_by : who.
    regime : regime -> probability on this symbol; None when it is not known or too old.
    follows : of a canary of the registry, the strategy on whose symbols it is on trial; its weight is that one's.
    share : of the capital that a canary and its champion have on the symbol together; 1 without a canary.
    """

    instance_id: int
    strategy: str
    account: str
    symbol: str
    weight: Decimal
    routed: Decimal | None = None
    ceiling: Decimal | None = None
    lowered_by: str = "somebody"
    regime: Mapping[str, float] | None = None
    follows: str = ""
    share: Fraction = Fraction(1)

    def base(self, chosen: WeightSet) -> Decimal | None:
        """The set's weight for it, or for what it follows, as fine as one is kept; None where the set names neither."""
        own = chosen.base(self.strategy, self.symbol)
        base = chosen.base(self.follows, self.symbol) if own is None and self.follows else own
        return None if base is None else base.quantize(_FINEST, rounding=ROUND_DOWN)

    def regime_of(self, chosen: WeightSet) -> Mapping[str, Any] | None:
        """The set's regime for it, or for what it follows."""
        return chosen.regimes.get(self.strategy) or chosen.regimes.get(self.follows)


@dataclass(frozen=True, slots=True)
class Routed:
    """The weight to put into force. `base` is the set's own; `rule` decided and `reason` says how."""

    place: Place
    base: Decimal
    weight: Decimal
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Part:
    place: Place
    base: Decimal
    weight: Decimal
    rule: str
    reason: str

    @property
    def counts(self) -> Fraction:
        """What it has of the symbol: a canary and its champion share one weight by their capital."""
        return Fraction(self.weight) * self.place.share

    def lowered(self, to: Decimal, rule: str, why: str) -> _Part:
        text = f"{self.reason}; {why}: {percent(to)}"
        return _Part(self.place, self.base, to, rule, text)


def route(chosen: WeightSet, places: Sequence[Place]) -> tuple[Routed, ...]:
    """Weigh every place the set names, per account and symbol.

    The sum on a symbol is at most 1, or what it was: the router fills nothing up and takes nothing from a strategy
    because another one was added. What a person lowered by hand stays down, whatever set, regime or cap comes next.
    """
    groups: dict[tuple[str, str], list[Place]] = {}
    for place in places:
        groups.setdefault((place.account, place.symbol), []).append(place)
    found: list[Routed] = []
    for group in groups.values():
        found += _group(chosen, group)
    return tuple(sorted(found, key=lambda item: item.place.instance_id))


def raised_by_name(before: WeightSet | None, after: WeightSet, places: Sequence[Place]) -> list[Place]:
    """Places that were lowered by hand and that the new set names with more: two people who approve it lift that."""
    found = []
    for place in places:
        wanted = place.base(after)
        if place.ceiling is None or wanted is None or wanted <= place.ceiling:
            continue
        had = place.base(before) if before is not None else None
        if had is None or wanted > had:
            found.append(place)
    return found


def set_free_or_raised(before: WeightSet, after: WeightSet, places: Sequence[Place]) -> list[str]:
    """Names by which a new set allows more: a weight above the old one, or none at all where there was one.

    What a set does not name it leaves alone: no regime, no cap and no smaller weight reaches it any more, so leaving a
    set is no way down. Against the weight in force where the old set had none.
    """
    found = set()
    for place in places:
        had, wanted = place.base(before), place.base(after)
        # A weight that was approved may be taken up again after the router lowered it; not after a person did: what
        # they lowered stays down unless the set names it with more, which is more than it had.
        if _is_more(had, wanted, least=place.weight):
            found.add(f"{place.strategy}:{place.symbol}")
    # What has no place yet may have one tomorrow, without anybody asking about the set again.
    placed = {name for place in places for name in (place.strategy, f"{place.strategy}:{place.symbol}")}
    for name in before.weights.keys() | after.weights.keys():
        strategy, _, symbol = name.partition(":")
        had, wanted = before.base(strategy, symbol), after.base(strategy, symbol)
        if (had is not None or name not in placed) and _is_more(had, wanted, least=Decimal(0)):
            found.add(name)
    return sorted(found)


def _is_more(had: Decimal | None, wanted: Decimal | None, *, least: Decimal) -> bool:
    if wanted is None:
        return had is not None
    return wanted > (least if had is None else had)


def overfull(chosen: WeightSet, places: Sequence[Place]) -> list[str]:
    """Symbols on which the set's weights come to more than 1 and to more than what is in force now."""
    sums: dict[str, Fraction] = {}
    now: dict[str, Fraction] = {}
    for place in places:
        base = place.base(chosen)
        key = f"{place.symbol} of {place.account}"
        sums[key] = sums.get(key, Fraction(0)) + place.share * Fraction(
            place.weight if base is None else base
        )
        now[key] = now.get(key, Fraction(0)) + place.share * Fraction(place.weight)
    return [
        f"{key}: {_grained(total).normalize():f}"
        for key, total in sorted(sums.items())
        if total > max(Fraction(1), now[key])
    ]


def percent(weight: Decimal) -> str:
    return f"{weight * 100:.2f} %"


def _group(chosen: WeightSet, places: list[Place]) -> list[Routed]:
    parts: list[_Part] = []
    others = Fraction(0)
    for place in places:
        base = place.base(chosen)
        if base is None:
            others += place.share * Fraction(place.weight)
        else:
            parts.append(_of_regime(chosen, place, base))
    there = sum((place.share * Fraction(place.weight) for place in places), Fraction(0))
    limits = (
        (
            [p for p in parts if p.place.follows or p.place.strategy in chosen.canaries],
            Fraction(chosen.max_canary_weight),
            "canary",
        ),
        (parts, max(Fraction(0), max(Fraction(1), there) - others), "sum"),
    )
    for members, cap, rule in limits:
        ids = {member.place.instance_id for member in members}
        current = [part for part in parts if part.place.instance_id in ids]
        total = sum((part.counts for part in current), Fraction(0))
        if total > cap:
            scale = cap / total
            parts = [
                part.lowered(
                    _grained(Fraction(part.weight) * scale),
                    rule,
                    _WORDS[rule].format(cap=percent(_grained(cap))),
                )
                if part.place.instance_id in ids and part.weight
                else part
                for part in parts
            ]
    settled = [_settled(chosen, part) for part in parts]
    champions = {place.strategy: place.weight for place in places}
    champions |= {item.place.strategy: item.weight for item in settled}
    return [_behind(item, champions) for item in settled]


def _behind(item: Routed, champions: Mapping[str, Decimal]) -> Routed:
    """A canary never has more than what it is on trial against: also where somebody lowered that by hand."""
    if not item.place.follows:
        return item
    most = champions.get(item.place.follows, item.place.weight)
    if item.weight <= most:
        return item
    reason = f"{item.reason}; {item.place.follows} has {percent(most)}, a canary no more"
    return Routed(item.place, item.base, most, "champion", reason)


_WORDS = {
    "canary": "canaries may have {cap} of a symbol together",
    "sum": "all strategies the set names may have {cap} of the symbol together",
}


def _of_regime(chosen: WeightSet, place: Place, base: Decimal) -> _Part:
    whose = (
        "it" if chosen.base(place.strategy, place.symbol) is not None else f"{place.follows}, its champion,"
    )
    part = _Part(
        place, base, base, "zero" if base == 0 else "set", f"the weight set gives {whose} {percent(base)}"
    )
    regime = place.regime_of(chosen)
    if regime is None or base == 0:
        return part
    factors: Mapping[str, Decimal] = regime["factors"]
    lowest = min(factors.values())
    if not place.regime:
        to = _grained(Fraction(base) * Fraction(lowest))
        return part.lowered(to, "regime_unknown", f"the regime is not known, the lowest factor is {lowest:f}")
    known = sum(Fraction(p) for p in place.regime.values())
    if known <= 0:
        to = _grained(Fraction(base) * Fraction(lowest))
        return part.lowered(to, "regime_unknown", f"the regime is not known, the lowest factor is {lowest:f}")
    factor = sum(
        Fraction(p) / known * Fraction(factors.get(name, lowest)) for name, p in place.regime.items()
    )
    likely = max(place.regime, key=lambda name: place.regime[name] if place.regime else 0.0)
    why = f"{likely} at {place.regime[likely] * 100:.0f} % makes a factor of {float(factor):.3f}"
    return part.lowered(_grained(Fraction(base) * factor), "regime", why)


def _settled(chosen: WeightSet, part: _Part) -> Routed:
    """Hold what a person lowered and, for the regime's sake, small rises.

    Only rises: what the regime or a cap takes is taken at once, however little it is. After caps and sums, so that
    what is held here goes to no other place.
    """
    place, wanted = part.place, part.weight
    if place.ceiling is not None and wanted > place.ceiling:
        most = place.ceiling
        why = f"{place.lowered_by} lowered it to {percent(most)}: it stays until two people raise it"
        return Routed(place, part.base, most, "lowered_by_hand", f"{part.reason}; {why}")
    if (
        place.regime_of(chosen) is not None
        and place.routed is not None
        and place.weight < wanted < place.weight + chosen.band
    ):
        why = f"less than {percent(chosen.band)} of a rise: it stays at {percent(place.weight)}"
        return Routed(place, part.base, place.weight, "band", f"{part.reason}; {why}")
    return Routed(place, part.base, wanted, part.rule, part.reason)


def _grained(weight: Fraction) -> Decimal:
    return (Decimal(weight.numerator) / Decimal(weight.denominator)).quantize(_GRAIN, rounding=ROUND_DOWN)
