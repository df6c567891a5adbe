"""`/research/`: the queue of backtests and sweeps, asking for one, comparing, and reports of what is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.views import View

from governance.selectors.research import research_state
from governance.views.page import Page
from governance.views.tables import Column, Table
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from trading.domain.report.from_backtest import run_from_backtest
from trading.domain.report.run import ReportRun
from trading.domain.research.outcomes import SCORES
from trading.models import ResearchJob
from trading.reports import report_html
from trading.reports.walk_forward import walk_forward_runs, walk_forward_tables
from trading.selectors.research import job_command
from trading.services.jobs import job_record, job_result, job_walk
from trading.services.research.models import regimes_of
from trading.services.strategy_kinds import strategy_kinds

MOST_COMPARED = 12

JOBS = Table(
    "jobs",
    "Queue and results",
    (
        Column("lamp", "State", "lamp"),
        Column("title", "Title"),
        Column("kind", "Kind"),
        Column("series", "Bars"),
        Column("progress", "Progress", "progress"),
        Column("total_return", "Return", "percent"),
        Column("sharpe", "Sharpe", "signed"),
        Column("max_drawdown", "Drawdown", "percent"),
        Column("trades", "Trades", "count"),
        Column("requested_by", "By"),
        Column("created_at", "Asked", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/backtests",
    "Nothing was asked for yet.",
    "Choose a strategy and stored bars above, and press “Run”. A grid makes it a sweep.",
    tall=False,
)


class Research(Page):
    name = "research"
    title = "Research"
    template = "governance/research.html"
    topics = ("research", "trading_state", "approvals")
    parameters = ("job",)
    tables = (JOBS,)

    def state(self, request: HttpRequest, user: User) -> dict[str, Any]:
        return research_state()

    def context(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        return {"scores": sorted(SCORES), "kinds": [kind.members() for kind in strategy_kinds()]}

    def client(self, request: HttpRequest, state: Mapping[str, Any]) -> dict[str, Any]:
        return {"kinds": [kind.members() for kind in strategy_kinds()]}


class ResearchReport(LoginRequiredMixin, View):
    """The self-contained report of one job, or of several side by side, in a sandbox of its own."""

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            return self._report(request)
        except ApplicationError as error:
            return HttpResponse(
                f"{error.code}: {error.message}\n", status=error.status, content_type="text/plain"
            )

    def _report(self, request: HttpRequest) -> HttpResponse:
        uids = list(dict.fromkeys(request.GET.getlist("id")))
        if not 1 <= len(uids) <= MOST_COMPARED:
            raise ApplicationError("BAD_COMPARISON", f"expected 1 to {MOST_COMPARED} ids, were {len(uids)}")
        jobs = [job_record(_uuid(uid)) for uid in uids]
        runs: list[ReportRun] = []
        tables: list[Any] = []
        for number, job in enumerate(jobs, start=1):
            name = job.title if len(jobs) == 1 else f"{number}. {job.title}"
            facts = [("Reproduce", job_command(job)), ("Asked by", str(job.requested_by or "nobody known"))]
            if job.kind == ResearchJob.Kind.WALK_FORWARD:
                walked, asked = job_walk(job)
                runs += walk_forward_runs(
                    walked, asked, of="" if len(jobs) == 1 else f"{name}: ", facts=facts
                )
                tables = walk_forward_tables(walked) if len(jobs) == 1 else tables
            else:
                result = job_result(job)
                regimes = regimes_of(
                    job.figures.get("params") or {},
                    result.series[0],
                    result.times_ns,
                    asked=request.GET.get("regimes"),
                )
                runs.append(run_from_backtest(result, name, facts=facts, regimes=regimes))
        title = jobs[0].title if len(jobs) == 1 else f"{len(jobs)} runs compared"
        response = HttpResponse(report_html(runs, title=title, command=job_command(jobs[0]), extra=tables))
        # The page is whole in itself: nothing may be fetched, and its scripts see nothing of ours.
        response["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
            "sandbox allow-scripts allow-downloads"
        )
        response["Cache-Control"] = "no-store"
        return response


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ApplicationError("UNKNOWN_JOB", f"{text[:40]!r} is no job's id", status=404) from None
