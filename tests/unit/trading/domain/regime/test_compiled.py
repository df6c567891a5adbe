from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.unit.trading.domain.regime.simulated import THREE, simulate
from trading.domain.regime import compiled, packed, steps
from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.errors import KernelUnavailable
from trading.domain.regime.filter import filter_series

ROOT = Path(__file__).resolve().parents[5]


def test_importing_the_regime_kernel_imports_neither_numba_nor_a_training_library() -> None:
    script = (
        "import pkgutil, sys, trading.domain.regime as r\n"
        "[__import__(f'{r.__name__}.{m.name}') for m in pkgutil.iter_modules(r.__path__)]\n"
        "print([n for n in ('numba', 'scipy', 'hmmlearn', 'sklearn', 'pandas', 'django') if n in sys.modules])"
    )
    done = subprocess.run(  # the modules of this very process prove nothing
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_machine_code_gives_the_same_bits() -> None:
    x, _ = simulate(THREE, 2000, seed=1)
    interpreted = filter_series(THREE, x)
    machine = filter_series(THREE, x, machine_code=True)
    assert compiled.compiled(steps.filter_rows) is not steps.filter_rows
    assert np.array_equal(interpreted[0], machine[0])
    assert np.array_equal(interpreted[1], machine[1])


def test_one_compiled_step_called_from_python_gives_the_same_bits() -> None:
    x, _ = simulate(THREE, 200, seed=2)
    model = packed.pack_model(THREE)
    states = [packed.initial_state(THREE), packed.initial_state(THREE)]
    for row in x:
        scores = [
            step(model, state, row)
            for step, state in zip(
                (steps.filter_step, compiled.compiled(steps.filter_step)), states, strict=True
            )
        ]
        assert scores[0] == scores[1]
    assert np.array_equal(states[0], states[1])


def test_cached_code_is_stamped_with_every_source_it_was_made_of() -> None:
    from trading.domain.regime import two_clock_steps

    dispatcher = compiled.compiled(two_clock_steps.joint_predict)  # calls log_sum of another file
    stamp = dispatcher._cache._cache_file._source_stamp  # type: ignore[attr-defined]
    assert isinstance(stamp, tuple)
    assert len(stamp[1]) == 64
    files = {kernel.__code__.co_filename for kernel in compiled.with_callees(two_clock_steps.joint_predict)}
    assert files == {two_clock_steps.__file__, steps.__file__}


def test_without_numba_machine_code_is_refused_and_series_run_interpreted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def twice(value: float) -> float:
        return 2.0 * value

    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(KernelUnavailable, match="needs numba"):
        compiled.compiled(twice)
    assert compiled.fastest(twice) is twice


def test_a_step_compiled_elsewhere_without_reference_counts_may_call_the_kernels() -> None:
    # The way the backtester compiles strategies: every callee registered, no allocation inside the step.
    from numba import njit
    from numba.extending import register_jitable

    model, width = packed.pack_model(THREE), 1
    size = len(packed.initial_state(THREE))
    for callee in compiled.with_callees(steps.filter_step):
        register_jitable(callee)

    def strategy_step(params: FloatArray, state: FloatArray, close: float) -> float:
        row = state[size : size + width]
        row[0] = close
        return steps.filter_step(params, state[:size], row)

    machine = njit(_nrt=False)(strategy_step)
    x, _ = simulate(THREE, 50, seed=3)
    states = [np.zeros(size + width), np.zeros(size + width)]
    for value in x[:, 0]:
        assert strategy_step(model, states[0], value) == machine(model, states[1], value)
    assert np.array_equal(states[0], states[1])


def test_a_kernel_comes_with_everything_it_calls() -> None:
    names = {callee.__name__ for callee in compiled.with_callees(steps.filter_step)}
    assert names == {
        "filter_step", "scale_row", "gaussian_log_densities", "forward_first", "forward_step", "log_predict",
        "normalise",
    }  # fmt: skip
