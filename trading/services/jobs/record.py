"""Runs as bytes in a row of the database, and back."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from nautilus_site.common.errors import Conflict, NotFound
from trading.domain.backtest import BacktestResult
from trading.domain.backtest.ledger import Ledger
from trading.domain.research.outcomes import Outcome
from trading.domain.statistics.figures import Figure
from trading.models import ResearchJob
from trading.services.backtests import backtest_prepare
from trading.services.jobs.asking import job_request

_TABLES = ("fills", "refusals", "funding")
_NUMBERS = ("total_return", "final_equity", "max_drawdown", "trades", "fees")


def pack_ledger(ledger: Ledger) -> bytes:
    """Return a ledger's tables, compressed."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: getattr(ledger, name) for name in _TABLES})
    return stream.getvalue()


def unpack_ledger(data: bytes) -> Ledger:
    """Return the ledger of `pack_ledger`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Ledger(**{name: arrays[name] for name in _TABLES})


def pack_text(text: str) -> bytes:
    """Return text, compressed."""
    return zlib.compress(text.encode(), 1)


def unpack_text(data: bytes) -> str:
    """Return the text of `pack_text`."""
    return zlib.decompress(data).decode()


def pack_outcomes(outcomes: Sequence[Outcome]) -> bytes:
    """Return the outcomes of configurations, compressed; at least one."""
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        numbers=np.array([[float(getattr(o, name)) for name in _NUMBERS] for o in outcomes]),
        sharpe=np.array([0.0 if o.sharpe.value is None else o.sharpe.value for o in outcomes]),
        reasons=np.array(
            [o.sharpe.reason if o.sharpe.value is None else "" for o in outcomes], dtype=np.str_
        ),
        periods=np.stack([o.periods for o in outcomes]),
        training=np.stack([o.training for o in outcomes]),
    )
    return stream.getvalue()


def unpack_outcomes(data: bytes) -> list[Outcome]:
    """Return the outcomes of `pack_outcomes`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        numbers, sharpe = arrays["numbers"].tolist(), arrays["sharpe"].tolist()
        reasons, periods, training = arrays["reasons"].tolist(), arrays["periods"], arrays["training"]
    found = []
    for row, value, reason, returns, scores in zip(numbers, sharpe, reasons, periods, training, strict=True):
        named: dict[str, Any] = dict(zip(_NUMBERS, row, strict=True))
        named["trades"] = int(named["trades"])
        ratio = Figure(None, reason) if reason else Figure(value)
        found.append(Outcome(sharpe=ratio, periods=returns, training=scores, **named))
    return found


def job_result(job: ResearchJob) -> BacktestResult:
    """Return the run of a job that is done (of a sweep, its best run) from its record and the stored bars.

    Raises
    ------
    Conflict : codes NOT_DONE; BARS_CHANGED, the stored bars are no longer those of the run.
    ApplicationError : as `backtest_prepare`.
    """
    if job.kind == ResearchJob.Kind.LOOKAHEAD:
        raise Conflict("NO_REPORT", "a look-ahead test has no curve: its figures are all there is")
    if job.state != ResearchJob.State.DONE or job.ledger is None:
        raise Conflict("NOT_DONE", f"the job is {job.state}; there is a report when it is done")
    members = {**job.request, "params": job.figures["params"]}
    inputs = backtest_prepare(job_request(members).run).inputs
    ledger = unpack_ledger(bytes(job.ledger))
    result = BacktestResult(inputs, tuple(inputs.series), ledger)
    if result.sha256 != job.figures["sha256"]:
        raise Conflict(
            "BARS_CHANGED",
            "the stored bars, or the strategy's parameters, are no longer those of this run; run it again",
        )
    return result


def job_record(uid: Any) -> ResearchJob:
    """Return a job with its stored run.

    Raises
    ------
    NotFound : code UNKNOWN_JOB.
    """
    job = ResearchJob.objects.select_related("requested_by").filter(uid=uid).first()
    if job is None:
        raise NotFound("UNKNOWN_JOB", f"no job has the id {uid}")
    return job
