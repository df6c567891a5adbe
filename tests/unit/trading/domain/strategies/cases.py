"""The published and independently computed cases of the science document, by their ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CASES = Path(__file__).resolve().parents[4] / "data" / "science_cases.json"


def case(number: str) -> dict[str, Any]:
    """Return one case: its args, expected value and tolerance."""
    found = {one["id"]: one for one in json.loads(CASES.read_text())}
    return found[number]


def agrees(actual: float, expected: float, number: str) -> bool:
    """Say whether a number is the case's, within its tolerance relative to max(1, |expected|)."""
    return abs(actual - expected) <= case(number)["tol"] * max(1.0, abs(expected))
