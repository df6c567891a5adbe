"""The worked cases of the science guide, and what counts as the number they give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

CASES = json.loads((Path(__file__).parents[1] / "data" / "science_cases.json").read_text(encoding="utf-8"))


def assert_near(found: Any, expected: Any, tolerance: float) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_near(found[name], expected[name], tolerance)
        return
    want, got = np.asarray(expected, dtype=float), np.asarray(found, dtype=float)
    assert got.shape == want.shape
    assert np.all(np.abs(got - want) <= tolerance * np.maximum(1.0, np.abs(want)))
