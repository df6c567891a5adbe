from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from tests.unit.trading.domain.backtest.bars import flat_bars, script
from trading.domain.backtest import Assignment, Inputs, Settings, SizeRule, run
from trading.domain.backtest.arithmetic import PARTS
from trading.domain.backtest.compiled import NotCompilable, run_compiled, why_not
from trading.domain.strategies import parameter
from trading.domain.strategies.compiled import ArrayStrategy, CompiledStep

MARKET = flat_bars([100, 101, 102, 103])


@dataclass(frozen=True)
class Params:
    """What the step answers."""

    code: int = parameter(1)
    target: float = parameter(1.0)
    stop: float = parameter(0.0)
    trailing: float = parameter(0.0)


def answer(params, state, now_ns, open_price, high, low, close, volume, position, average_price, unrealized):
    """Answer with the parameters."""
    return int(params[0]), params[1], params[2], 0.0, params[3]


class Answer(ArrayStrategy):
    """Says what its parameters hold."""

    name = "answer"
    Params = Params
    compiled = CompiledStep(answer, lambda p: (p.code, p.target, p.stop, p.trailing), lambda p: 0, ("TOLD",))

    def warmup(self, params):
        """It needs nothing."""
        return 0


def inputs(settings=None, **params):
    return Inputs([MARKET], [Assignment("BTCUSDT", Answer(), Params(**params))], settings or Settings())


def test_an_array_strategy_runs_live_as_the_python_it_is():
    assert run(inputs()).sha256 == run_compiled(inputs(), interpreted=True).sha256


def test_what_the_compiled_engine_cannot_take_is_named():
    plain = Inputs([MARKET], [script({})], Settings())
    assert why_not(plain) == "script has no compiled step"
    half = replace(script({}), share=PARTS // 2)
    assert "several" in why_not(replace(plain, assignments=[half, half]))
    assert why_not(inputs()) == ""
    with pytest.raises(NotCompilable, match="no compiled step"):
        run_compiled(plain)


@pytest.mark.parametrize(
    "wrong",
    [{"target": 1.5}, {"target": float("nan")}, {"stop": -1.0}, {"stop": float("inf")}, {"trailing": 1.0}],
)
@pytest.mark.parametrize("interpreted", [True, False])
def test_an_answer_that_means_nothing_stops_the_run(wrong, interpreted):
    if not interpreted:
        pytest.importorskip("numba", reason="the compiled engine needs numba")
    with pytest.raises(ValueError, match="expected a"):
        run_compiled(inputs(**wrong), interpreted=interpreted)


def test_a_step_outside_the_subset_is_refused_with_the_reason():
    pytest.importorskip("numba", reason="the compiled engine needs numba")

    def talkative(params, state, now_ns, open_price, high, low, close, volume, position, average, unrealized):
        return {"target": 1.0}

    class Talkative(Answer):
        compiled = CompiledStep(talkative, lambda p: (0.0,), lambda p: 0, ("TOLD",))

    with pytest.raises(TypeError, match="talkative cannot be compiled"):
        run_compiled(Inputs([MARKET], [Assignment("BTCUSDT", Talkative(), Params())], Settings()))


def test_amounts_that_64_bits_cannot_carry_are_refused():
    huge = Settings(cash=Decimal(10**11))
    with pytest.raises(ValueError, match="too large for 64 bits"):
        run_compiled(inputs(huge), interpreted=True)
    many = Settings(size=SizeRule.quantity, size_amount=Decimal(10**9))
    with pytest.raises(ValueError, match="too large for 64 bits"):
        run_compiled(inputs(many), interpreted=True)


def test_more_fills_than_the_tables_have_room_for_are_all_kept(monkeypatch):
    from trading.domain.backtest import compiled

    monkeypatch.setattr(compiled, "FIRST_ROWS", 1)
    prices = flat_bars([100, 101, 99, 103, 98, 104, 97, 105])
    split = Settings(size=SizeRule.quantity, size_amount=Decimal(1), max_child=Decimal(30))
    task = Inputs([prices], [Assignment("BTCUSDT", Answer(), Params())], split)
    assert len(run_compiled(task, interpreted=True).ledger.fills) > 1
    assert run_compiled(task, interpreted=True).sha256 == run(task).sha256


def test_stored_machine_code_hangs_on_what_a_step_calls_and_on_nothing_else():
    machine = pytest.importorskip("trading.domain.backtest.machine", reason="the compiled engine needs numba")
    from trading.domain.strategies.compiled import NUMERIC, numeric
    from trading.domain.strategies.moving_average import crossing_step
    from trading.domain.strategies.trend_step import trend_step

    alone, calling = machine._numeric_digest(crossing_step), machine._numeric_digest(trend_step)
    assert alone != calling

    @numeric
    def unrelated(value: float) -> float:
        return value + 1.0

    assert machine._numeric_digest(trend_step) == calling
    trend_step.__globals__["sign"], kept = unrelated, trend_step.__globals__["sign"]
    try:
        assert machine._numeric_digest(trend_step) != calling
    finally:
        trend_step.__globals__["sign"] = kept
        NUMERIC.discard(unrelated)
