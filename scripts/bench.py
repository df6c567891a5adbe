# ruff: noqa: T201  (a script that talks to a person)
"""Run every benchmark, show what it measured, keep its JSON lines.

A benchmark is a script in benchmarks/ that prints JSON objects, one a line, with `name`, `value` and `unit`;
its other output is shown as it is. Lines are kept in benchmarks/results/SCRIPT.jsonl, with the time and the
machine they were measured on.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks"
RESULTS = FOLDER / "results"


def measurements(output: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Split a benchmark's output into its measurements and everything else."""
    objects: list[dict[str, Any]] = []
    others: list[str] = []
    for line in output.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if isinstance(value, dict) and "name" in value:
            objects.append(value)
        else:
            others.append(line)
    return objects, others


def main() -> int:
    scripts = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("_"))
    if not scripts:
        print("nautilus: there are no benchmarks in benchmarks/")
        return 0
    RESULTS.mkdir(parents=True, exist_ok=True)
    circumstances = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    failed = []
    for script in scripts:
        print(f"== {script.stem}", flush=True)
        result = subprocess.run(  # noqa: S603 (our own scripts)
            [sys.executable, str(script)],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
            env=environment,
        )
        objects, others = measurements(result.stdout)
        for line in others:
            print(f"   {line}")
        for measured in objects:
            print(f"   {measured['name']:<48} {measured.get('value', '')!s:>14} {measured.get('unit', '')}")
        with (RESULTS / f"{script.stem}.jsonl").open("a", encoding="utf-8") as kept:
            kept.writelines(json.dumps(circumstances | measured) + "\n" for measured in objects)
        if result.returncode != 0:
            failed.append(script.stem)
            print(f"   failed with code {result.returncode}")
    if failed:
        print(f"nautilus: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
