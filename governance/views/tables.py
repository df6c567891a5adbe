"""Tables of the pages: declared once, rendered here for the first paint and by `table.js` afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from typing import Any

NONE = "–"
NUMERIC = frozenset(
    {"money", "price", "signed", "decimal", "percent", "age", "count", "bar", "progress", "trace"}
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `kind` decides how a value is written; see `cells.js` for the same kinds in the browser."""

    key: str
    title: str
    kind: str = "text"
    wrap: bool = False

    @property
    def is_numeric(self) -> bool:
        return self.kind in NUMERIC

    def members(self) -> dict[str, Any]:
        return {"key": self.key, "title": self.title, "kind": self.kind, "wrap": self.wrap}


@dataclass(frozen=True, slots=True)
class Table:
    """A panel with a table: its rows' name in the page state, its API twin, what to say when it is empty."""

    name: str
    title: str
    columns: tuple[Column, ...]
    api: str
    empty: str
    teach: str
    tall: bool = True
    compact: bool = False
    follows: tuple[str, ...] = ()  # filters of its page that narrow its rows, and its API twin as well

    def shape_columns(self) -> frozenset[str]:
        """The columns it may be sorted by and that may be hidden."""
        return frozenset(column.key for column in self.columns if column.kind != "action")

    def members(self) -> list[dict[str, Any]]:
        return [column.members() for column in self.columns]

    def rendered(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What the template draws: `rows` of cells `{"text", "class"}`."""
        return {
            "spec": self,
            "count": len(rows),
            "rows": [
                {
                    "key": row.get("id"),
                    "cells": [_cell(column, row.get(column.key)) for column in self.columns],
                }
                for row in rows
            ],
        }


def _cell(column: Column, value: Any) -> dict[str, str]:
    css = ["number"] if column.is_numeric else []
    if column.kind == "mono":
        css.append("mono")
    if column.wrap:
        css.append("wrap")
    if column.kind == "action":
        css.append("action")
    if column.kind == "signed":
        css.append(_tone(value))
    if column.kind == "side":
        css.append({"BUY": "up", "SELL": "down"}.get(str(value), ""))
    return {"text": cell_text(column.kind, value), "class": " ".join(filter(None, css))}


def cell_text(kind: str, value: Any) -> str:
    """A value as text; the same rules as `cellText` in the browser."""
    if kind == "lamp":
        return str(value["text"]) if value else NONE
    if kind == "action":
        return ""
    if value is None or value == "" or value == []:
        return NONE
    if kind in ("money", "price", "signed", "decimal"):
        return _number(kind, value)
    if kind == "percent":
        return f"{float(value) * 100:.2f} %"
    if kind == "trace":
        return f"{float(value[-1]):,.1f}".replace("-", "−") if value else NONE
    if kind in ("bar", "progress"):
        return f"{round(float(value) * 100)} %"
    if kind == "age":
        return _seconds(float(value))
    if kind == "time":
        return _clock(str(value))
    if kind == "side":
        return {"BUY": "▲ BUY", "SELL": "▼ SELL"}.get(str(value), str(value))
    if kind == "flag":
        return "yes" if value else "no"
    return str(value)


def _number(kind: str, value: Any) -> str:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    if kind == "decimal":
        return f"{number:,f}"
    if kind == "money":
        return f"{_cents(number):,f}".replace("-", "−")
    if kind == "price":
        return f"{_six_digits(number):,f}"
    rounded = _cents(number)
    mark = "▲ +" if rounded > 0 else "▼ −" if rounded < 0 else ""
    return f"{mark}{abs(rounded):,f}"


def _cents(number: Decimal) -> Decimal:
    """Two decimals, halves away from zero: as the browser rounds the same text."""
    with localcontext(prec=60):
        return number.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def _six_digits(number: Decimal) -> Decimal:
    """At least six significant digits, and cents at least: a coin of a tenth of a cent has a price, too."""
    places = max(2, 5 - number.adjusted()) if number else 2
    with localcontext(prec=60):
        return number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def _tone(value: Any) -> str:
    try:
        rounded = _cents(Decimal(str(value)))
    except InvalidOperation:
        return ""
    return "up" if rounded > 0 else "down" if rounded < 0 else ""


def _seconds(value: float) -> str:
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if value < limit:
            return f"{value:.1f} s" if value < 10 else f"{round(value / divisor)} {unit}"
    return f"{round(value / 86400)} d"


def _clock(text: str) -> str:
    moment = datetime.fromisoformat(text).astimezone(UTC)
    same_day = moment.date() == datetime.now(UTC).date()
    return moment.strftime("%H:%M:%S" if same_day else "%d/%m %H:%M:%S")
