"""The page as a file: whole, alone, and safe whatever the names in it."""

import json
import re

import numpy as np
import pytest

from nautilus_site.common.errors import ApplicationError
from tests.unit.trading.domain.report.runs import some_run
from trading.domain.report import Cell, Table
from trading.reports import report_html, report_write

HOSTILE = "</script><img src=x onerror=alert(1)>&\"'"


def embedded(html):
    return json.loads(re.search(r'id="report-data">(.*?)</script>', html, re.DOTALL)[1])


def test_the_page_names_nothing_to_load():
    html = report_html([some_run()], title="Report")
    for attribute in re.findall(r'<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)="([^"]*)"', html):
        pytest.fail(f"the page loads {attribute}")
    styles = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert "url(" not in styles
    assert "@import" not in styles
    assert "default-src 'none'" in html


def test_the_figures_stand_in_the_page_without_scripts():
    run = some_run()
    html = report_html([run], title="Report", command="manage.py backtest moving_average")
    body = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert "manage.py backtest moving_average" in body
    for heading in ("Statistics", "Months", "Regimes", "Deepest drawdowns", "Cost stress", "Trades"):
        assert f"{heading}</h2>" in body
    assert body.count("<tr>") > 90
    assert "next_open" in body


def test_hostile_names_stay_text():
    html = report_html([some_run(HOSTILE, facts=[(HOSTILE, HOSTILE)])], title=HOSTILE)
    assert "<img" not in html
    assert html.count("</script>") == 4, "data, library, bands, page: no name ends one early"
    assert embedded(html)["runs"][0]["name"] == HOSTILE


def test_tables_of_several_runs_have_places_of_their_own():
    html = report_html([some_run("one"), some_run("two", seed=2)], title="Two")
    keys = re.findall(r'<section id="([a-z0-9-]+)"', html)
    assert len(keys) == len(set(keys))
    assert {"trades", "trades-2", "comparison"} <= set(keys)
    for target in re.findall(r'<a href="#([^"]+)"', html):
        assert f'id="{target}"' in html


def test_further_tables_come_first():
    extra = Table("sweep", "Sweep", ["fast", "Sharpe"], [[Cell("5"), Cell("1.2")]])
    html = report_html([some_run()], title="Sweep", extra=[extra])
    assert html.index('id="sweep"') < html.index('id="statistics"')


def test_a_run_without_trades_candles_or_regimes_still_makes_a_page():
    from trading.domain.statistics import RoundTrips

    none = np.zeros(0, dtype=np.int64)
    empty = some_run(
        trips=RoundTrips(none, none, np.zeros(0), np.zeros(0)),
        trip_symbols=(),
        trip_sides=(),
        candles=(),
        executions=(),
        regimes=None,
        costs=None,
    )
    html = report_html([empty], title="Empty")
    assert '<p class="empty">None.</p>' in html
    assert embedded(html)["runs"][0]["candles"] == []


def test_the_same_runs_give_the_same_bytes(tmp_path):
    path = tmp_path / "report.html"
    sizes = [report_write(path, [some_run()], title="Report") for _ in range(2)]
    first = path.read_bytes()
    report_write(path, [some_run()], title="Report")
    assert path.read_bytes() == first
    assert sizes == [len(first)] * 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path):
    with pytest.raises(ApplicationError) as caught:
        report_write(tmp_path / "missing" / "report.html", [some_run()], title="Report")
    assert caught.value.code == "REPORT_NOT_WRITTEN"


def test_reports_need_runs_with_different_names():
    with pytest.raises(ApplicationError) as caught:
        report_html([], title="None")
    assert caught.value.code == "NO_RUNS"
    with pytest.raises(ApplicationError) as caught:
        report_html([some_run("same"), some_run("same")], title="Same")
    assert caught.value.code == "DUPLICATE_NAMES"
