"""The page in a real browser, opened from a disk: it draws, answers keys, and asks the network for nothing."""

import pytest

from tests.browser.chromium import chromium  # noqa: F401  a fixture
from tests.unit.trading.domain.report.runs import some_run
from trading.reports import report_write

pytestmark = pytest.mark.browser


@pytest.fixture
def page(chromium, tmp_path):  # noqa: F811  the fixture above
    path = tmp_path / "report.html"
    report_write(path, [some_run("one", hours=24 * 70), some_run("two", seed=2)], title="Two runs")
    context = chromium.new_context(viewport={"width": 1200, "height": 900}, color_scheme="dark")
    opened = context.new_page()
    opened.requests, opened.problems = [], []
    opened.on("request", lambda request: opened.requests.append(request.url))
    opened.on("console", lambda message: opened.problems.append(message.text))
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    opened.goto(path.as_uri())
    opened.wait_for_selector("html[data-ready=true]")
    yield opened
    context.close()


def painted(page, chart):
    """How many canvases of a chart have something on them."""
    script = """id => [...document.querySelectorAll(`#${id} canvas`)].filter(c => c.width && c.height &&
        c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some(v => v)).length"""
    return page.evaluate(script, chart)


def test_everything_is_drawn_and_nothing_is_asked_for(page):
    page.wait_for_function(
        "document.querySelectorAll('#equity-chart canvas, #candle-chart canvas').length > 4"
    )
    page.wait_for_timeout(300)
    for chart in ("equity-chart", "drawdown-chart", "candle-chart"):
        assert painted(page, chart) >= 2
    assert page.locator("svg.histogram").count() == 2
    assert page.locator("#regime-legend li").all_inner_texts() == ["calm", "turbulent"]
    assert page.problems == []
    assert len(page.requests) == 1
    assert page.requests[0].startswith("file:")
    assert page.evaluate("document.documentElement.scrollWidth") == 1200, "nothing is wider than the screen"


def test_the_keyboard_reaches_charts_buttons_and_theme(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.focus("#relative")
    pressed = page.get_attribute("#relative", "aria-pressed")
    page.keyboard.press("Enter")
    assert page.get_attribute("#relative", "aria-pressed") != pressed
    page.focus("#equity-chart")
    page.wait_for_timeout(200)
    picture = page.locator("#equity-chart").screenshot()
    for key in ("+", "+", "ArrowLeft"):
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert page.locator("#equity-chart").screenshot() != picture


def results(table):
    cells = table.locator("tbody tr td:nth-child(8)")
    return [float(text) for text in cells.evaluate_all("cells => cells.map(c => c.dataset.order)")]


def test_trades_are_paged_and_sorted_by_number(page):
    table = page.locator("#trades table")
    # 69 trades, 50 to a page; results order as numbers although they are written with a typographic minus.
    shown = table.locator("tbody tr:not([hidden])")
    assert shown.count() == 50
    page.locator("#trades").get_by_role("button", name="Next").click()
    assert shown.count() == 19
    head = table.get_by_role("button", name="Result")
    head.click()
    column = [
        float(row)
        for row in table.locator("tbody tr td:nth-child(8)").evaluate_all(
            "cells => cells.map(c => c.dataset.order)"
        )
    ]
    assert column == sorted(column)
    head.click()
    column = [
        float(row)
        for row in table.locator("tbody tr td:nth-child(8)").evaluate_all(
            "cells => cells.map(c => c.dataset.order)"
        )
    ]
    assert column == sorted(column, reverse=True)


def test_every_chart_has_a_name_and_every_table_a_head(page):
    for chart in page.locator(".chart").all():
        assert len(chart.get_attribute("aria-label")) > 20
    for table in page.locator("table[data-page]").all():
        assert table.locator("thead th[scope=col]").count() >= 2
        assert table.locator("tbody tr").first.locator("th[scope=row]").count() == 1
