"""The page: data, style, script and chart library in one file that needs no network and works from a disk."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from nautilus_site.common.errors import ApplicationError
from trading.domain.report import ReportRun, Table
from trading.domain.report.charts import chart_data
from trading.domain.report.tables import (
    comparison_table,
    cost_table,
    drawdown_table,
    headlines,
    month_table,
    regime_table,
    statistics_table,
    trade_table,
)

_TEMPLATE = "reports/report.html"
_LIBRARY = "static/vendor/lightweight-charts/lightweight-charts.standalone.production.js"
_TOKENS = "static/nautilus/css/tokens.css"


def report_html(
    runs: Sequence[ReportRun], *, title: str, command: str = "", extra: Sequence[Table] = ()
) -> str:
    """Return the report of one run, or of several side by side.

    Parameters
    ----------
    command : reproduces the report; shown in its head.  extra : more tables, shown first (a sweep's, say).

    Raises
    ------
    ApplicationError : code NO_RUNS, or code DUPLICATE_NAMES.
    """
    if not runs:
        raise ApplicationError("NO_RUNS", "a report needs at least one run")
    names = [run.name for run in runs]
    if len(set(names)) != len(names):
        raise ApplicationError("DUPLICATE_NAMES", f"runs need different names, were {', '.join(names)}")
    context = {
        "title": title,
        "command": command,
        "runs": [(run, headlines(run)) for run in runs],
        "tables": _tables(runs, extra),
        "data": _embedded({"runs": [chart_data(run) for run in runs], "regimes": _regime_names(runs)}),
        "library": _inline_script(_LIBRARY),
        "script": _inline_script("reports/report.js"),
        "bands": _inline_script("reports/bands.js"),
        "style": _inline_style(_TOKENS) + _inline_style("reports/report.css"),
    }
    return render_to_string(_TEMPLATE, context)


def report_write(
    path: Path, runs: Sequence[ReportRun], *, title: str, command: str = "", extra: Sequence[Table] = ()
) -> int:
    """Write the report, replacing an earlier file only once the new one is whole; return its size in bytes.

    Raises
    ------
    ApplicationError : as `report_html`; code REPORT_NOT_WRITTEN, the file cannot be written.
    """
    content = report_html(runs, title=title, command=command, extra=extra).encode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ApplicationError("REPORT_NOT_WRITTEN", f"{path}: {error.strerror or error}") from error
    return len(content)


def _tables(runs: Sequence[ReportRun], extra: Sequence[Table]) -> list[Table]:
    found: list[Table | None] = [*extra, statistics_table(runs), comparison_table(runs)]
    for build in (month_table, regime_table, drawdown_table, cost_table, trade_table):
        found += [build(run) for run in runs]
    alone = f": {runs[0].name}" if len(runs) == 1 else ""
    # Several runs have several tables of a kind: the key names a place in the page, so it is numbered.
    tables: list[Table] = []
    seen: dict[str, int] = {}
    for table in found:
        if table is None:
            continue
        count = seen[table.key] = seen.get(table.key, 0) + 1
        key = table.key if count == 1 else f"{table.key}-{count}"
        title = table.title.removesuffix(alone)
        tables.append(Table(key, title, table.columns, table.rows, table.note, table.page))
    return tables


def _regime_names(runs: Sequence[ReportRun]) -> dict[int, str]:
    names: dict[int, str] = {}
    for run in runs:
        names.update(run.regimes.names if run.regimes else {})
    return names


def _embedded(data: Any) -> SafeString:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return mark_safe(text)  # noqa: S308  every character that HTML could read is escaped above


@cache
def _file(name: str) -> str:
    return (Path(settings.BASE_DIR) / "templates" / name).read_text(encoding="utf-8")


def _inline_script(name: str) -> SafeString:
    return _inline(name, "</script")


def _inline_style(name: str) -> SafeString:
    return _inline(name, "</style")


def _inline(name: str, end: str) -> SafeString:
    text = _file(name)
    if end in text.lower():
        raise ApplicationError("ASSET_UNSAFE", f"{name} contains {end} and cannot stand inside a page")
    return mark_safe(text)  # noqa: S308  our own files and the vendored library, checked for their end tag
