"""Which share of a symbol each strategy gets now."""

from governance.domain.routing.route import (
    Place,
    Routed,
    overfull,
    percent,
    raised_by_name,
    route,
    set_free_or_raised,
)

__all__ = ["Place", "Routed", "overfull", "percent", "raised_by_name", "route", "set_free_or_raised"]
