"""How the panels of a page stand: what the page has, what somebody made of it, and both put together.

An arrangement outlives the pages it was made on. Panels that are gone are passed over, new ones stand where the page
has them, and what a panel does not allow (any more) is as the page has it: an arrangement never breaks a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

COLUMNS = 12
WIDTHS = (3, 4, 6, 8, 9, COLUMNS)
"""Columns of the page's grid that a panel can be wide."""
HEIGHTS = ("small", "medium", "large")
"""Of what scrolls in a panel; no word is the height the page gives it."""
MOST_PANELS = 40


class BadArrangement(ValueError):
    """Not an arrangement of this page; `code` is for machines."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel as the page has it.

    `stays`: it shows what is urgent and is never folded away. `fixed`: its width is the page's. `scrolls`: it has a
    height.
    """

    name: str
    title: str
    width: int = COLUMNS
    stays: bool = False
    fixed: bool = False
    scrolls: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel stands is its place in the sequence. No `width` or `height` is the page's own."""

    name: str
    width: int | None = None
    height: str = ""
    folded: bool = False


def checked(panels: Sequence[Panel], wanted: Sequence[Place]) -> tuple[tuple[Place, ...], tuple[str, ...]]:
    """What is worth keeping of an arrangement, and the names in it that the page does not have.

    Raises
    ------
    BadArrangement : PANEL_TWICE, PANEL_STAYS (it shows what is urgent), PAGE_BLANK (nothing would be left to see).
    """
    known = {panel.name: panel for panel in panels}
    names = [place.name for place in wanted]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadArrangement("PANEL_TWICE", f"{twice} is in it more than once")
    for place in wanted:
        if place.folded and place.name in known and known[place.name].stays:
            title = known[place.name].title
            raise BadArrangement(
                "PANEL_STAYS", f"{title} shows what is urgent: it can be moved, not folded away"
            )
    kept = tuple(_fitted(known[place.name], place) for place in wanted if place.name in known)
    if panels and all(place.folded for place in arranged(panels, kept)):
        raise BadArrangement("PAGE_BLANK", "expected at least one panel that is not folded away")
    return kept, tuple(name for name in names if name not in known)


def arranged(panels: Sequence[Panel], wanted: Sequence[Place]) -> tuple[Place, ...]:
    """Every panel of the page once: those of the arrangement in its order, each other one behind its neighbour."""
    known = {panel.name: panel for panel in panels}
    places = {place.name: _fitted(known[place.name], place) for place in wanted if place.name in known}
    order = list(places)
    before = None
    for panel in panels:
        if panel.name not in places:
            places[panel.name] = Place(panel.name)
            order.insert(0 if before is None else order.index(before) + 1, panel.name)
        before = panel.name
    return tuple(places[name] for name in order)


def opened(places: Sequence[Place]) -> tuple[Place, ...]:
    """The same, with nothing folded away where that would leave a blank page to whoever sees only these."""
    if all(place.folded for place in places):
        return tuple(replace(place, folded=False) for place in places)
    return tuple(places)


def _fitted(panel: Panel, place: Place) -> Place:
    width = place.width if place.width in WIDTHS and place.width != panel.width and not panel.fixed else None
    height = place.height if panel.scrolls and place.height in HEIGHTS else ""
    return Place(panel.name, width, height, bool(place.folded) and not panel.stays)
