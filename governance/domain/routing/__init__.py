"""Which share of a symbol each strategy gets now."""

from governance.domain.routing.route import Place, Routed, overfull, route

__all__ = ["Place", "Routed", "overfull", "route"]
