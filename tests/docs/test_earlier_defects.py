"""Every defect of the earlier system that governance answers for is named by a test that would fail there."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.documents import ROOT

# Numbers of the list of the earlier system's defects: its safety nets (W24 to W32), its governance (W80 to W86).
DEFECTS = [f"W{number}" for number in (*range(24, 33), *range(80, 87))]


@cache
def named() -> dict[str, set[str]]:
    """Tests by the defects in their names, docstrings or, for whole files, the first line of the module."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if path.name == "test_earlier_defects.py" and path.parent.name == "docs":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                words = f"{node.name.upper()} {ast.get_docstring(node) or ''}"
                for number in re.findall(r"(?<![A-Z0-9])W\d\d(?!\d)", words.replace("_", " ")):
                    found.setdefault(number, set()).add(f"{path.relative_to(ROOT)}::{node.name}")
    return found


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_test_names_it(defect: str) -> None:
    assert named().get(defect), f"no test names {defect}"
