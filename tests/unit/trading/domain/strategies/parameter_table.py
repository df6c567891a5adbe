"""The table of parameters of a strategy's page, made from its declarations.

python -m tests.unit.trading.domain.strategies.parameter_table trend_follow
"""

from __future__ import annotations

import sys
from typing import Any

from trading.domain.strategies import parameter_schema, registry

HEAD = "| parameter | default | bounds | meaning |\n|---|---|---|---|"


def rows(name: str) -> list[str]:
    """Return one line per parameter of a built-in strategy."""
    told = parameter_schema(registry()[name].Params)["properties"]
    return [_row(field, entry) for field, entry in told.items()]


def _row(field: str, entry: dict[str, Any]) -> str:
    unit = f" {entry['unit']}" if entry.get("unit") else ""
    bounds = f"{entry['minimum']:g} to {entry['maximum']:g}" if "minimum" in entry else ""
    default = entry["default"]
    shown = str(default).lower() if isinstance(default, bool) else f"{default}"
    return f"| `{field}` | {f'`{shown}`' if shown else 'none'}{unit} | {bounds} | {entry['description']} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join([HEAD, *rows(sys.argv[1])]) + "\n")
