"""Every route there is, as the resolver has it, with a value for each argument."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.urls import URLPattern, URLResolver, get_resolver

ARGUMENTS = {
    "int": "999999999",
    "uuid": str(UUID(int=0)),
    "slug": "no-such-name",
    "str": "NOSUCHUSDT",
    "path": "1",
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def routes() -> Iterator[tuple[str, Any]]:
    """Route and view of the whole platform."""
    yield from walk(get_resolver("nautilus_site.urls"))


def walk(resolver: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from walk(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.callback


def filled(route: str) -> str:
    for kind, value in ARGUMENTS.items():
        while f"<{kind}:" in route:
            before, _, rest = route.partition(f"<{kind}:")
            route = before + value + rest.partition(">")[2]
    assert "<" not in route, f"{route}: give its argument a value here"
    return f"/{route}"


def methods_of(callback: Any) -> list[str]:
    """What a view answers: its handlers; a plain function answers GET."""
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    if view is None:
        return ["GET"]
    return [method for method in METHODS if hasattr(view, method.lower())]
