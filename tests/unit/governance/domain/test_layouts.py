"""Arrangements fit the page they are shown on, whatever page they were made on."""

from __future__ import annotations

import pytest

from governance.domain.layouts import BadArrangement, Panel, Place, arranged, checked, opened

PANELS = (
    Panel("tiles", "Figures", stays=True, fixed=True),
    Panel("price", "Price", 8, scrolls=True),
    Panel("equity", "Equity", 4),
    Panel("orders", "Orders", 6, scrolls=True),
)


def names(places: tuple[Place, ...]) -> list[str]:
    return [place.name for place in places]


def test_without_an_arrangement_the_page_stands_as_it_comes() -> None:
    assert arranged(PANELS, ()) == tuple(Place(panel.name) for panel in PANELS)


def test_a_new_panel_stands_behind_its_neighbour_and_one_that_is_gone_is_passed_over() -> None:
    kept = (Place("orders"), Place("gone", 3), Place("price"), Place("tiles"))
    assert names(arranged(PANELS, kept)) == ["orders", "price", "equity", "tiles"]
    assert names(arranged(PANELS, (Place("orders"), Place("price")))) == [
        "tiles",
        "orders",
        "price",
        "equity",
    ]


def test_what_a_panel_does_not_allow_any_more_is_as_the_page_has_it() -> None:
    kept = (Place("tiles", 6, "large", folded=True), Place("equity", 5, "small"), Place("price", 8, "huge"))
    assert arranged(PANELS[:3], kept) == (Place("tiles"), Place("equity"), Place("price"))


def test_what_is_kept_is_what_differs_from_the_page_and_strange_names_are_told() -> None:
    wanted = (Place("price", 12, "large"), Place("equity", 4, folded=True), Place("tiles"), Place("gone"))
    assert checked(PANELS, wanted) == (
        (Place("price", 12, "large"), Place("equity", folded=True), Place("tiles")),
        ("gone",),
    )


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ((Place("price"), Place("price", 12)), "PANEL_TWICE"),
        ((Place("tiles", folded=True),), "PANEL_STAYS"),
    ],
)
def test_what_is_no_arrangement_is_refused(wanted: tuple[Place, ...], code: str) -> None:
    with pytest.raises(BadArrangement) as refused:
        checked(PANELS, wanted)
    assert refused.value.code == code


def test_a_page_never_becomes_blank() -> None:
    without_urgent = PANELS[1:3]
    one, both = (Place("price", folded=True),), (Place("price", folded=True), Place("equity", folded=True))
    assert checked(without_urgent, one)[0] == one
    with pytest.raises(BadArrangement) as refused:
        checked(without_urgent, both)
    assert refused.value.code == "PAGE_BLANK"
    # Who may see only what is folded away sees it all the same.
    assert opened(both) == (Place("price"), Place("equity"))
    assert opened((*one, Place("equity"))) == (*one, Place("equity"))
