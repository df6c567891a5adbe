"""Running a backtest: which engine, in which pieces, and what is written down between them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from django.conf import settings

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest import BacktestResult, BacktestRun, Inputs

PIECE: Final = 20_000
"""Bars between two looks at whether somebody wants the run stopped."""

WORTH_COMPILING: Final = 300_000
"""Bars from which on machine code is sooner, its half second of loading counted."""

ENGINES: Final = ("auto", "python", "compiled")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Finished:
    """A result, the engine that made it and the seconds it took."""

    result: BacktestResult
    engine: str
    elapsed_s: float


def backtest_run(
    inputs: Inputs,
    *,
    engine: str = "auto",
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    checkpoint: Path | None = None,
) -> Finished:
    """Run to the end, or until `stop` says so; then the result is a partial one.

    Parameters
    ----------
    engine : `auto` takes machine code where the strategy has it and it pays; the result is the same.
    progress : called with (done, of how many).  stop : asked between pieces of the run.
    checkpoint : where a stopped run is written and taken up again; removed when the run ends.

    Raises
    ------
    ApplicationError : code ENGINE_UNAVAILABLE; code BAD_CHECKPOINT, of another run.
    """
    began = time.perf_counter()
    wanted = "python" if engine == "auto" and checkpoint is not None else engine
    if chosen_engine(inputs, wanted) == "compiled":
        result = run_compiled_here(inputs)
        return Finished(result, "compiled", time.perf_counter() - began)
    run = BacktestRun(inputs)
    if checkpoint is not None and checkpoint.exists():
        try:
            run.restore(checkpoint.read_text(encoding="utf-8"))
        except (ValueError, KeyError, TypeError) as error:
            raise ApplicationError("BAD_CHECKPOINT", f"{checkpoint}: {error}") from None
    while not run.finished and not (stop is not None and run.done and stop()):
        run.advance(PIECE)
        if progress is not None:
            progress(run.done, run.total)
    if checkpoint is not None:
        if run.finished:
            checkpoint.unlink(missing_ok=True)
        else:
            _write(checkpoint, run.checkpoint())
    return Finished(run.result(), "python", time.perf_counter() - began)


def chosen_engine(inputs: Inputs, engine: str, *, runs: int = 1) -> str:
    """Return the engine to take, `python` or `compiled`.

    Parameters
    ----------
    runs : how many runs over these bars are to come.

    Raises
    ------
    ApplicationError : code ENGINE_UNAVAILABLE.
    """
    reason = _why_not_compiled(inputs)
    if engine == "compiled" and reason:
        raise ApplicationError("ENGINE_UNAVAILABLE", f"the compiled engine cannot take this run: {reason}")
    pays = runs * sum(len(s) for s in inputs.series) >= WORTH_COMPILING
    return "compiled" if engine == "compiled" or (engine == "auto" and not reason and pays) else "python"


def _why_not_compiled(inputs: Inputs) -> str:
    if find_spec("numba") is None:
        return "numba is not installed"
    from trading.domain.backtest.compiled import why_not

    return why_not(inputs)


def run_compiled_here(inputs: Inputs) -> BacktestResult:
    """Run as machine code that is kept below `$NAUTILUS_HOME`."""
    from trading.domain.backtest import machine
    from trading.domain.backtest.compiled import run_compiled

    machine.use_cache(Path(settings.NAUTILUS_HOME) / "numba")
    return run_compiled(inputs)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
