"""Every fill that happened is booked, exactly and once: O2."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.witness import Books, Row, Venue, number


def _ours(books: Books) -> dict[tuple[str, str, int], Row]:
    return {(f["account"], f["symbol"], int(f["trade_id"])): f for f in books.fills}


def _theirs(venue: Venue) -> dict[tuple[str, str, int], Row]:
    return {(f["account_id"], f["symbol"], int(f["trade_id"])): f for f in venue.fills}


def fills_real(venue: Venue, books: Books) -> Iterator[str]:
    """Every booked fill happened, exactly as booked, once."""
    theirs = _theirs(venue)
    if len(_ours(books)) != len(books.fills):
        yield f"{len(books.fills) - len(_ours(books))} fills are booked twice"
    for key, fill in _ours(books).items():
        real = theirs.get(key)
        if real is None:
            yield f"fill {key} is booked and never happened"
            continue
        for mine, name in (
            ("quantity", "qty"),
            ("price", "price"),
            ("quote_quantity", "quote_qty"),
            ("commission", "commission"),
        ):
            if number(fill[mine]) != number(real[name]):
                yield f"fill {key}: {mine} {fill[mine]} here, {real[name]} there"
        if fill["side"] != real["side"] or fill["maker"] != real["maker"]:
            yield f"fill {key}: {fill['side']}, maker {fill['maker']} here; {real['side']}, {real['maker']} there"
        if number(fill["commission"]) and fill["commission_asset"] != real["commission_asset"]:
            yield f"fill {key}: commission in {fill['commission_asset']} here, {real['commission_asset']} there"


def fills_equal(venue: Venue, books: Books) -> Iterator[str]:
    """Every fill that happened is booked."""
    ours = _ours(books)
    for key in _theirs(venue):
        if key not in ours:
            yield f"fill {key} is missing"
