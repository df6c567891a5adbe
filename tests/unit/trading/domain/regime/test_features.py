from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.trading.domain.regime.simulated import HOUR_NS, bars
from trading.domain.regime.errors import FeaturesRefused
from trading.domain.regime.feature_steps import READY, WARMING, feature_step
from trading.domain.regime.features import (
    FEATURES,
    BarColumns,
    FeatureSpec,
    feature_matrix,
    feature_rows,
    initial_feature_state,
    pack_spec,
)

ALL = FeatureSpec(tuple(FEATURES), volatility_window=4, volume_window=6)


def changed(columns: BarColumns, name: str, row: int, value: float) -> BarColumns:
    values = getattr(columns, name).copy()
    values[row] = value
    fields = {field: getattr(columns, field) for field in BarColumns.__dataclass_fields__}
    return BarColumns(**{**fields, name: values})


def without(columns: BarColumns, *rows: int) -> BarColumns:
    keep = np.ones(len(columns), dtype=bool)
    keep[list(rows)] = False
    fields = {
        field: getattr(columns, field) for field in BarColumns.__dataclass_fields__ if field != "interval_ns"
    }
    return BarColumns(
        interval_ns=columns.interval_ns, **{name: column[keep] for name, column in fields.items()}
    )


def test_each_feature_is_its_formula_over_the_window_that_ends_at_the_bar() -> None:
    columns = bars(40)
    matrix = feature_matrix(columns, ALL)
    t = 25
    row = matrix.x[int(np.flatnonzero(matrix.close_ns == columns.close_ns[t])[0])]
    returns = np.diff(np.log(columns.close))  # returns[t - 1] belongs to bar t
    logs = np.log(columns.volume[t - 5 : t + 1])
    expected = {
        "log_return": math.log(columns.close[t] / columns.close[t - 1]),
        "volatility": math.log(math.sqrt(np.mean(returns[t - 4 : t] ** 2)) + 1e-8),
        "volume": (logs[-1] - logs.mean()) / logs.std(),
        "range": math.log(columns.high[t] / columns.low[t]),
        "imbalance": 2 * columns.taker_base[t] / columns.volume[t] - 1,
        "funding": columns.funding[t],
    }
    assert row == pytest.approx([expected[name] for name in ALL.names], rel=1e-12)


@pytest.mark.parametrize(
    ("names", "first"), [(("range",), 0), (("log_return",), 1), (("volatility",), 4), (("volume",), 5)]
)
def test_the_first_row_comes_when_every_window_is_full(names: tuple[str, ...], first: int) -> None:
    spec = FeatureSpec(names, volatility_window=4, volume_window=6)
    _, status = feature_rows(bars(12), spec)
    assert list(status) == [WARMING] * first + [READY] * (12 - first)
    assert spec.warmup == first + 1


def test_a_live_stream_and_a_batch_give_the_same_bits_in_machine_code_and_without() -> None:
    columns = bars(120)
    interpreted = feature_matrix(columns, ALL)
    machine = feature_matrix(columns, ALL, machine_code=True)
    spec, state, row = pack_spec(ALL), initial_feature_state(ALL), np.zeros(ALL.width)
    streamed = []
    for t in range(len(columns)):
        status = feature_step(
            spec, state, columns.high[t], columns.low[t], columns.close[t], columns.volume[t],
            columns.taker_base[t], columns.funding[t], row,
        )  # fmt: skip
        if status == READY:
            streamed.append(row.copy())
    assert np.array_equal(np.array(streamed), interpreted.x)
    assert np.array_equal(machine.x, interpreted.x)


def test_a_value_does_not_depend_on_where_the_stream_began() -> None:
    columns = bars(200)
    whole = feature_matrix(columns, ALL)
    late = feature_matrix(without(columns, *range(100)), ALL)
    assert np.array_equal(whole.x[-len(late.x) :], late.x)


def test_a_gap_ends_a_stretch_and_no_window_reaches_over_it() -> None:
    columns = bars(60)
    matrix = feature_matrix(without(columns, 30, 31), ALL)
    # Bars 0..29 and 32..59, of which each stretch loses the first five.
    assert matrix.lengths == (25, 23)
    alone = feature_matrix(without(columns, *range(32)), ALL)
    assert np.array_equal(matrix.x[25:], alone.x)
    assert matrix.close_ns[25] - matrix.close_ns[24] == 8 * HOUR_NS


def test_stretches_are_cut_with_their_rows() -> None:
    matrix = feature_matrix(without(bars(60), 30, 31), ALL)
    part = matrix.rows(20, 30)
    assert part.lengths == (5, 5)
    assert np.array_equal(part.x, matrix.x[20:30])


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("close", math.nan, "expected 0 < low <= close <= high"),
        ("close", 0.0, "expected 0 < low <= close <= high"),
        ("high", math.inf, "expected 0 < low <= close <= high"),
        ("volume", 0.0, "nothing was traded in it"),
        ("volume", math.nan, "expected a volume of zero or more, finite"),
        ("volume", -1.0, "expected a volume of zero or more, finite"),
        ("taker_base", -1.0, "taker volume between 0 and the volume"),
        ("funding", math.nan, "no funding rate was in force"),
    ],
)
def test_an_unusable_bar_is_named_and_refused(column: str, value: float, words: str) -> None:
    with pytest.raises(FeaturesRefused, match="bar 20 of 40") as refused:
        feature_matrix(changed(bars(40), column, 20, value), ALL)
    assert words in str(refused.value)


def test_a_few_bars_without_trades_are_holes_like_missing_ones() -> None:
    # The venue was closed in hour 150: the bar is there, with a price and no volume.
    columns = bars(300)
    closed = feature_matrix(changed(columns, "volume", 150, 0.0), ALL)
    missing = feature_matrix(without(columns, 150), ALL)
    assert closed.lengths == missing.lengths
    assert np.array_equal(closed.x, missing.x)
    assert np.array_equal(closed.close_ns, missing.close_ns)


def test_a_feature_that_needs_no_volume_takes_a_bar_without_trades() -> None:
    columns = changed(bars(300), "volume", 150, 0.0)
    assert feature_matrix(columns, FeatureSpec(("log_return",))).lengths == (299,)


def test_a_refused_bar_leaves_the_stream_as_it_was() -> None:
    columns = bars(10)
    spec, state, row = pack_spec(ALL), initial_feature_state(ALL), np.zeros(ALL.width)
    for t in range(8):
        feature_step(
            spec, state, columns.high[t], columns.low[t], columns.close[t], columns.volume[t],
            columns.taker_base[t], columns.funding[t], row,
        )  # fmt: skip
    before = state.copy()
    assert feature_step(spec, state, 1.0, 1.0, math.nan, 1.0, 0.0, 0.0, row) > WARMING
    assert np.array_equal(state, before)


def test_a_window_of_equal_volumes_has_no_score() -> None:
    columns = bars(40)
    flat = BarColumns(columns.close_ns, HOUR_NS, columns.high, columns.low, columns.close, np.full(40, 7.0))
    with pytest.raises(FeaturesRefused, match="every volume of the window is equal"):
        feature_matrix(flat, FeatureSpec(("volume",), volume_window=6))
    assert feature_matrix(flat, FeatureSpec(("log_return",))).x.shape == (39, 1)


def test_too_few_bars_are_refused_with_how_many_are_needed() -> None:
    with pytest.raises(FeaturesRefused, match="need 6 unbroken ones"):
        feature_matrix(bars(5), ALL)


def test_a_feature_whose_column_is_missing_is_refused() -> None:
    columns = bars(40)
    plain = BarColumns(columns.close_ns, HOUR_NS, columns.high, columns.low, columns.close, columns.volume)
    with pytest.raises(FeaturesRefused, match="imbalance needs a column"):
        feature_matrix(plain, FeatureSpec(("imbalance",)))


def test_bars_out_of_order_are_refused() -> None:
    columns = bars(3)
    with pytest.raises(FeaturesRefused, match="ascending"):
        BarColumns(columns.close_ns[::-1], HOUR_NS, columns.high, columns.low, columns.close, columns.volume)


def test_a_specification_has_a_digest_of_its_own() -> None:
    assert FeatureSpec().digest() == FeatureSpec().digest()
    different = [
        FeatureSpec(("log_return",)),
        FeatureSpec(volatility_window=11),
        FeatureSpec(volume_window=49),
    ]
    assert len({spec.digest() for spec in (FeatureSpec(), *different)}) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"names": ()}, "at least one"),
        ({"names": ("range", "range")}, "different feature names"),
        ({"names": ("momentum",)}, "unknown feature 'momentum'"),
        ({"volatility_window": 1}, "volatility window"),
        ({"epsilon": 0.0}, "epsilon"),
    ],
)
def test_an_impossible_specification_is_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FeatureSpec(**arguments)  # type: ignore[arg-type]
