# ruff: noqa: T201  (a script that talks to a person)
"""Say which of the observability files are missing, or that all are there and parse."""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "observability"
NEEDED = (
    "docker-compose.yml",
    "prometheus/prometheus.yml",
    "prometheus/rules",
    "alertmanager/alertmanager.yml",
    "grafana/provisioning",
    "grafana/dashboards",
    "loki/loki.yml",
)


def main() -> int:
    missing = [name for name in NEEDED if not (FOLDER / name).exists()]
    if missing:
        print(
            "nautilus: the observability stack is not complete; missing in observability/:", file=sys.stderr
        )
        for name in missing:
            print(f"  {name}", file=sys.stderr)
        return 1
    broken = 0
    for dashboard in sorted((FOLDER / "grafana" / "dashboards").glob("**/*.json")):
        try:
            json.loads(dashboard.read_text(encoding="utf-8"))
        except ValueError as error:
            print(f"nautilus: {dashboard.relative_to(FOLDER.parent)}: {error}", file=sys.stderr)
            broken += 1
    if broken == 0:
        print("nautilus: every observability file is there and every dashboard parses")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
