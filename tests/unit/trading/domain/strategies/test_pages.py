"""Every built-in strategy has a page, and its table of parameters is what the code declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.trading.domain.strategies.parameter_table import rows
from tests.unit.trading.domain.strategies.reference_run import DATA, RUNS
from trading.domain.strategies import registry

DOCS = Path(__file__).parents[5] / "docs"


@pytest.mark.parametrize("name", list(registry()))
def test_its_page_lists_every_parameter_as_it_is(name: str) -> None:
    page = (DOCS / "strategies" / f"{name}.md").read_text()
    section = page.split("\n## Parameters\n")[1].split("\n## ")[0]
    assert [line for line in section.splitlines() if line.startswith("| `")] == rows(name)


@pytest.mark.parametrize("name", list(registry()))
def test_its_page_has_rules_sources_limits_and_a_reference_run(name: str) -> None:
    page = (DOCS / "strategies" / f"{name}.md").read_text()
    for heading in ("## Rules", "## Parameters", "## Reference run", "## Known limits", "## Sources"):
        assert f"\n{heading}\n" in page
    assert f"reference_run {name}" in page


@pytest.mark.parametrize("name", list(registry()))
def test_the_index_leads_to_its_page(name: str) -> None:
    assert f"(strategies/{name}.md)" in (DOCS / "STRATEGIES.md").read_text()


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["trend_follow", "market_maker", "listing_sniper"])
def test_its_numbers_are_those_of_the_run_it_names(name: str) -> None:
    # The others train models first and take minutes; their command is on their pages.
    if not DATA.exists():
        pytest.skip("the recorded market data is not beside the checkout")
    page = (DOCS / "strategies" / f"{name}.md").read_text()
    for line in RUNS[name]():
        assert line in page
