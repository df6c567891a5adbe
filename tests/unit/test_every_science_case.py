"""Every worked case of `tests/data/science_cases.json` is claimed by a test that runs it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.unit.governance.domain.allocation import test_science_cases as allocation
from tests.unit.science_cases import CASES
from tests.unit.trading.domain.statistics import test_science_cases as statistics

HERE = Path(__file__).parent
REGIME = "trading/domain/regime/test_science_cases.py"
INDICATORS = "trading/domain/strategies/test_indicators.py"
QUOTING = "trading/domain/strategies/test_quoting.py"
NAMED = {
    **dict.fromkeys(
        (
            "H01", "H03", "H08", "H09", "H11", "H13", "H15", "H17", "H19", "H20", "H21", "H22", "H23", "H24", "H25",
        ),
        REGIME,
    ),
    **dict.fromkeys(("M01", "M03", "M04", "M05", "M06"), QUOTING),
    **dict.fromkeys(("T01", "T03", "T04", "T06", "T07"), INDICATORS),
    "R15": "trading/domain/test_breakers.py",
}  # fmt: skip
"""Cases whose test names them, and the file below tests/unit. The rest run as parameters of the two modules above."""


def claimed_by_parameters() -> set[str]:
    return {case["id"] for case in (*statistics.OURS, *allocation.OURS)}


def names_in_tests(path: Path) -> set[str]:
    """The text constants inside test functions of a file, decorators included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]
    return {
        node.value
        for test in tests
        for node in ast.walk(test)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_no_case_of_the_file_is_without_a_test_and_no_test_is_of_a_case_that_is_gone() -> None:
    known = {case["id"] for case in CASES}
    assert len(known) == len(CASES), "an id is there once"
    assert known == claimed_by_parameters() | set(NAMED)


@pytest.mark.parametrize("number", sorted(NAMED))
def test_the_file_that_claims_a_case_has_a_test_that_names_it(number: str) -> None:
    assert number in names_in_tests(HERE / NAMED[number])
