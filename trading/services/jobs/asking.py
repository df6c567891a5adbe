"""Asking for a job, stopping it, and letting it go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from trading.domain.backtest import FillMode
from trading.domain.research.grid import GridError, candidates, parse_grid
from trading.domain.research.legs import leg_of, run_name
from trading.domain.strategies import ParameterError, StrategyLoadError, parse_params
from trading.models import ResearchJob, StrategyInstance
from trading.services.backtests import BacktestRequest
from trading.services.backtests.legs import leg_load, leg_shares
from trading.services.backtests.limits import AskedLimits, asked_limits, limits_freeze
from trading.services.jobs.events import job_publish
from trading.services.models import parameters_in_force
from trading.services.research.lookahead import LookaheadAsked
from trading.services.research.sweep import require_score
from trading.services.research.walk_forward import WalkAsked
from trading.services.strategy_kinds import strategy_load
from universe.selectors import kline_file_get

QUEUE = "training"
_CASH = Decimal(100_000)
MOST_OPEN = 50
"""Jobs one person may have waiting or running."""

_DECIMALS = ("cash", "quantity", "allocation", "fee_bps", "slippage_bps", "impact", "leverage", "share")
_LATER = ("share", "allocation")
"""Not written down where they were not asked for: earlier requests do not have them."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a job is asked to do: a run; for a sweep the grid and what is best in it; for a walk-forward the windows."""

    run: BacktestRequest
    grid: tuple[str, ...] = ()
    score: str = "sharpe"
    engine: str = "auto"
    title: str = ""
    walk: WalkAsked | None = None
    lookahead: LookaheadAsked | None = None

    @property
    def kind(self) -> str:
        """`lookahead` with cuts, `walkforward` with windows, `sweep` with a grid only, else `backtest`."""
        if self.lookahead is not None:
            return ResearchJob.Kind.LOOKAHEAD
        if self.walk is not None:
            return ResearchJob.Kind.WALK_FORWARD
        return ResearchJob.Kind.SWEEP if self.grid else ResearchJob.Kind.BACKTEST

    def as_json(self) -> dict[str, Any]:
        """Return plain data that `job_request` reads again."""
        run = self.run
        return {
            "strategy": run.strategy,
            "symbol": run.symbol,
            "interval": run.interval,
            "market": run.market,
            "start": None if run.start is None else run.start.isoformat(),
            "end": None if run.end is None else run.end.isoformat(),
            "params": dict(run.params),
            **{
                n: None if getattr(run, n) is None else str(getattr(run, n))
                for n in _DECIMALS
                if n not in _LATER
            },
            "fill": run.fill.value,
            "long_only": run.long_only,
            "latency_bars": run.latency_bars,
            "grid": list(self.grid),
            "score": self.score,
            "engine": self.engine,
            **{n: str(getattr(run, n)) for n in _LATER if getattr(run, n) is not None},
            **({"limits": run.limits.as_json()} if run.limits else {}),
            **({} if self.walk is None else {"walk": asdict(self.walk)}),
            **({} if self.lookahead is None else {"lookahead": asdict(self.lookahead)}),
            **({"legs": [leg.as_json() for leg in run.legs]} if run.legs else {}),
        }


def job_request(members: Mapping[str, Any]) -> JobRequest:
    """Read a request from plain data, with defaults for what is not there.

    Raises
    ------
    ApplicationError : code BAD_REQUEST.
    """
    try:
        given: dict[str, Any] = {
            name: Decimal(str(members[name])) for name in _DECIMALS if members.get(name) is not None
        }
        for name in ("start", "end"):
            if members.get(name):
                value = members[name]
                given[name] = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        run = BacktestRequest(
            strategy=members["strategy"],
            symbol=members["symbol"],
            interval=members["interval"],
            market=members.get("market") or "spot",
            params=dict(members.get("params") or {}),
            fill=FillMode(members.get("fill") or "next_open"),
            long_only=bool(members.get("long_only", False)),
            latency_bars=int(members.get("latency_bars") or 0),
            legs=tuple(leg_of(leg) for leg in members.get("legs") or ()),
            limits=asked_limits(members.get("limits")),
            **given,
        )
        walk = None if members.get("walk") is None else WalkAsked(**members["walk"])
        cuts = None if members.get("lookahead") is None else LookaheadAsked(**members["lookahead"])
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ApplicationError("BAD_REQUEST", f"{error}") from None
    return JobRequest(
        run,
        tuple(members.get("grid") or ()),
        members.get("score") or "sharpe",
        members.get("engine") or "auto",
        members.get("title") or "",
        walk,
        cuts,
    )


@transaction.atomic
def job_create(*, request: JobRequest, actor: User) -> ResearchJob:
    """Check what can be checked at once, write the job down, and tell a worker.

    Only strategies with a name can be asked for: a path would be somebody else's code.

    Raises
    ------
    ApplicationError : codes UNKNOWN_STRATEGY, BAD_PARAMETER, BAD_GRID, BAD_SCORE; those of `limits_freeze`.
    NotFound : code NO_BARS.  Conflict : code TOO_MANY_JOBS.
    """
    run = request.run
    _check(request)
    kinds = [(leg.strategy, leg.symbol) for leg in run.all_legs]
    run = replace(run, limits=limits_freeze(run.limits, kinds, run.market))
    request = replace(request, run=run)
    for symbol in dict.fromkeys(leg.symbol for leg in run.all_legs):
        if kline_file_get(symbol, run.interval, run.market) is None:
            raise NotFound("NO_BARS", f"no {run.market} bars of {symbol} {run.interval} are stored")
    waiting = ResearchJob.objects.filter(
        requested_by=actor, state__in=(ResearchJob.State.QUEUED, ResearchJob.State.RUNNING)
    )
    if waiting.count() >= MOST_OPEN:
        raise Conflict("TOO_MANY_JOBS", f"{MOST_OPEN} jobs of yours are waiting already")
    job = ResearchJob.objects.create(
        kind=request.kind,
        title=(request.title or run_name(run.all_legs, run.interval))[:120],
        request=request.as_json(),
        requested_by=actor,
        created_at=now(),
    )
    audit_record(
        action=f"research.{request.kind}_requested",
        target=f"job:{job.uid}",
        actor=actor,
        after=job.request,
    )
    _hint(job)
    job_publish(job)
    return job


def _check(request: JobRequest) -> None:
    run = request.run
    if any(":" in leg.strategy for leg in run.all_legs):
        raise ApplicationError("UNKNOWN_STRATEGY", "expected the name of a strategy, not a file")
    if request.grid and run.legs:
        raise ApplicationError("BAD_REQUEST", "a sweep searches one strategy on one symbol")
    if request.lookahead is not None and (request.grid or request.walk or run.legs):
        raise ApplicationError("BAD_REQUEST", "a look-ahead test is of one strategy with its parameters")
    if request.walk is not None and not request.grid:
        raise ApplicationError("BAD_REQUEST", "a walk-forward needs a grid to choose from")
    leg_shares(run.all_legs, by_symbol=run.quantity is not None)
    for leg in run.legs:
        leg_load(leg)
    try:
        params = strategy_load(run.strategy).Params
        if request.grid:
            candidates(parse_grid(request.grid), params, run.params)
        else:
            parse_params(params, run.params)
    except StrategyLoadError as error:
        raise ApplicationError("UNKNOWN_STRATEGY", str(error)) from None
    except ParameterError as error:
        raise ApplicationError("BAD_PARAMETER", str(error)) from None
    except GridError as error:
        raise ApplicationError("BAD_GRID", str(error)) from None
    require_score(request.score)


@transaction.atomic
def job_cancel(*, uid: Any, actor: User) -> ResearchJob:
    """Stop a job; what was run of it stays, and it can go on later. Stopping what is over changes nothing.

    Raises
    ------
    NotFound : code UNKNOWN_JOB.
    """
    job = _locked(uid)
    if not job.is_over:
        job.state, job.finished_at = ResearchJob.State.CANCELED, now()
        job.save(update_fields=["state", "finished_at"])
        audit_record(action="research.canceled", target=f"job:{job.uid}", actor=actor)
        job_publish(job)
    return job


@transaction.atomic
def job_resume(*, uid: Any, actor: User) -> ResearchJob:
    """Let a stopped or failed job go on from where it was.

    Raises
    ------
    NotFound : code UNKNOWN_JOB.  Conflict : code NOT_STOPPED.
    """
    job = _locked(uid)
    if job.state not in (ResearchJob.State.CANCELED, ResearchJob.State.FAILED):
        raise Conflict("NOT_STOPPED", f"the job is {job.state}")
    job.state, job.finished_at, job.error = ResearchJob.State.QUEUED, None, ""
    job.save(update_fields=["state", "finished_at", "error"])
    audit_record(action="research.resumed", target=f"job:{job.uid}", actor=actor)
    _hint(job)
    job_publish(job)
    return job


def _hint(job: ResearchJob) -> None:
    enqueue_on_commit("trading.tasks.research_step", queue=QUEUE, job_id=job.pk)


def _locked(uid: Any) -> ResearchJob:
    job = ResearchJob.objects.select_for_update(no_key=True).filter(uid=uid).first()
    if job is None:
        raise NotFound("UNKNOWN_JOB", f"no job has the id {uid}")
    return job


def job_of_instance(instance: StrategyInstance) -> JobRequest:
    """Return the request for a backtest of what runs live: kind, parameters, capital and limits in force."""
    row, account = instance.strategy, instance.account
    symbol, market = instance.instrument.symbol, instance.instrument.market
    limits = limits_freeze(AskedLimits(account.name), [(row.kind, symbol)], market, named=[row.name])
    granted = instance.allocation * instance.weight
    run = BacktestRequest(
        strategy=row.kind,
        symbol=symbol,
        interval=row.interval,
        market=market,
        params=dict(parameters_in_force(row)),
        cash=max(_CASH, granted),
        allocation=granted if granted > 0 else None,
        limits=limits,
    )
    return JobRequest(run, title=f"{row.name} {run.symbol} {run.interval}, as it runs")
