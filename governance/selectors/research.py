"""The state of the research page: jobs, what there is to run, and bars to run it on."""

from __future__ import annotations

from typing import Any

from governance.selectors.shell import shell_state
from trading.models import Account, ResearchJob
from trading.selectors.notation import utc_text
from trading.selectors.research import job_members, job_queryset
from universe.selectors import kline_files_listed

_JOBS = 100
_TONES = {
    ResearchJob.State.QUEUED: "off",
    ResearchJob.State.RUNNING: "accent",
    ResearchJob.State.DONE: "good",
    ResearchJob.State.FAILED: "bad",
    ResearchJob.State.CANCELED: "warn",
}


def research_state() -> dict[str, Any]:
    """Jobs newest first, and the series of bars that are stored."""
    return {
        **shell_state(),
        "jobs": [job_row(job_members(job, brief=True)) for job in job_queryset()[:_JOBS]],
        "series": [
            {
                "symbol": row.symbol,
                "market": row.market,
                "interval": row.interval,
                "rows": row.rows,
                "start": utc_text(row.first_open_time),
                "end": utc_text(row.last_open_time),
            }
            for row in kline_files_listed()
        ],
        "accounts": [
            {"name": row.name, "market": row.market}
            for row in Account.objects.filter(is_active=True).order_by("name")
        ],
    }


def job_row(job: dict[str, Any]) -> dict[str, Any]:
    """A job as the table shows it, its first figures beside what the API says of it."""
    figures = job["figures"]
    return {
        **job,
        "lamp": {"tone": _TONES[job["state"]], "text": job["state"]},
        "series": f"{job['symbol']} {job['interval']}",
        **{name: figures.get(name) for name in ("total_return", "max_drawdown", "sharpe", "trades")},
    }
