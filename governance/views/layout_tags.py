"""`{% arrangement %}` and `{% panel %}`: the panels of a page, rendered in the order they stand in.

The order is that of the markup itself, so that reading, tabbing and seeing agree and nothing moves after the first
paint. A panel that is folded away is there and hidden: live updates reach it, and it is brought back as it is then.

    {% arrangement %}
    {% panel "orders" width=6 %}{% include "governance/partials/table.html" with table=tables.orders %}{% endpanel %}
    {% panel "chain" title="The chain" stays %}…{% endpanel %}
    {% endarrangement %}

A panel with the name of a table of the page has its title, and a height. After the name:

    title=   what it is called, where it is no table     stays     it shows what is urgent: never folded away
    width=   columns of 12 that it takes; 12 unless said  fixed    no other width fits it
    rows=    rows it takes beside narrower ones           scrolls  it has a height, like a table
    half     two of them fit into a row of a tablet
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import template
from django.template.base import Parser, Token
from django.template.context import Context
from django.template.loader import get_template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from governance.domain.layouts import COLUMNS, WIDTHS, Panel, Place, opened
from governance.views.tables import Table

register = template.Library()
CELLS = "arrangement_cells"
FLAGS = frozenset({"stays", "fixed", "scrolls", "half"})
VALUES = frozenset({"title", "width", "rows"})
NARROW = 4
"""Columns up to which two panels that somebody made narrow share a row of a tablet."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A panel that this person sees, with what it holds."""

    panel: Panel
    place: Place
    node: PanelNode
    content: SafeString

    def html(self, place: Place) -> SafeString:
        """The panel in its frame. The script of the page's arranging reads the marks back."""
        panel, flags = self.panel, self.node.flags
        width = place.width or panel.width
        is_half = "half" in flags if width == panel.width else width <= NARROW
        classes = ["cell", f"span-{width}"]
        classes += ["half-medium"] if is_half else []
        classes += ["rows-2"] if self.node.rows > 1 else []
        told = {
            "cell": panel.name,
            "title": panel.title,
            "width": width,
            "own-width": panel.width,
            "height": place.height,
        }
        marks = sorted(flags | ({"scrolls"} if panel.scrolls else set()))
        return format_html(
            '<div class="{}"{}{}{}>{}</div>',
            " ".join(classes),
            format_html_join("", ' data-{}="{}"', told.items()),
            format_html_join("", " data-{}", ((mark,) for mark in marks)),
            SafeString(" hidden" if place.folded else ""),
            self.content,
        )


class PanelNode(template.Node):
    """One panel. It renders to nothing where it stands: the arrangement collects it."""

    def __init__(
        self, name: str, nodelist: template.NodeList, values: Mapping[str, str], flags: frozenset[str]
    ) -> None:
        self.name = name
        self.nodelist = nodelist
        self.title = values.get("title", "")
        self.width = int(values.get("width", COLUMNS))
        self.rows = int(values.get("rows", 1))
        self.flags = flags

    def declared(self, tables: Mapping[str, Table]) -> Panel:
        """The panel as this template has it."""
        return Panel(
            self.name,
            self.title or tables[self.name].title,
            self.width,
            stays="stays" in self.flags,
            fixed="fixed" in self.flags,
            scrolls="scrolls" in self.flags or self.name in tables,
        )

    def render(self, context: Context) -> SafeString:
        content = self.nodelist.render(context)
        panel, place = context["panels"][self.name], context["places"][self.name]
        context[CELLS].append(Cell(panel, place, self, content))
        return SafeString("")


class ArrangementNode(template.Node):
    """All panels of a page, as they stand for whoever looks."""

    def __init__(self, nodelist: template.NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        cells: list[Cell] = []
        with context.push(**{CELLS: cells}):
            between = self.nodelist.render(context).strip()
        if between:
            raise template.TemplateSyntaxError(f"in an arrangement everything is in a panel: {between[:80]}")
        order = {name: number for number, name in enumerate(context["places"])}
        cells.sort(key=lambda cell: order[cell.place.name])
        places = opened([cell.place for cell in cells])
        folded = [cell.panel.title for cell, place in zip(cells, places, strict=True) if place.folded]
        return format_html(
            '<div class="grid" data-arrangement>{}</div>'
            '<p class="muted folded-away" data-folded-away{}>Folded away: <span>{}</span>. '
            '<button type="button" class="button-quiet button-small" data-open-arrange>Arrange</button></p>',
            format_html_join(
                "\n", "{}", ((cell.html(place),) for cell, place in zip(cells, places, strict=True))
            ),
            SafeString("" if folded else " hidden"),
            ", ".join(folded),
        )


@register.tag("arrangement")
def arrangement(parser: Parser, token: Token) -> ArrangementNode:
    """The panels between this and `endarrangement`."""
    nodelist = parser.parse(("endarrangement",))
    parser.delete_first_token()
    return ArrangementNode(nodelist)


@register.tag("panel")
def panel(parser: Parser, token: Token) -> PanelNode:
    """One panel, until `endpanel`."""
    _, name, *words = token.split_contents()
    values, flags = {}, set()
    for word in words:
        key, is_value, value = word.partition("=")
        if is_value and key in VALUES:
            values[key] = value.strip("\"'")
        elif word in FLAGS:
            flags.add(word)
        else:
            raise template.TemplateSyntaxError(
                f"panel {name}: {word} is none of {', '.join(sorted(VALUES | FLAGS))}"
            )
    if int(values.get("width", COLUMNS)) not in WIDTHS:
        raise template.TemplateSyntaxError(f"panel {name}: expected a width of {WIDTHS}")
    nodelist = parser.parse(("endpanel",))
    parser.delete_first_token()
    return PanelNode(name.strip("\"'"), nodelist, values, frozenset(flags))


def panels_of(template_name: str, tables: Mapping[str, Table]) -> tuple[Panel, ...]:
    """Every panel of a page's template, in its order, whoever may see it."""
    engine: Any = get_template(template_name)
    return tuple(node.declared(tables) for node in engine.template.nodelist.get_nodes_by_type(PanelNode))
