"""Drift of features, states and log scores against the references a model carries."""

from __future__ import annotations

import numpy as np
import pytest

from mlregistry.domain.drifting import FEWEST, WINDOW, control, scored, shape_of
from mlregistry.domain.envelope import envelope_read
from tests.factories.markets import paying_bars, paying_closes, trained_on
from trading.domain.clock import ns_to_datetime
from trading.domain.regime.artefact import Artefact, decode
from trading.domain.regime.drift import Drift, ScoreReference, cusum
from trading.domain.regime.features import BarColumns

YEAR_NS = 365 * 86_400 * 10**9


@pytest.fixture(scope="module")
def artefact() -> Artefact:
    encoded = trained_on(paying_bars(paying_closes(3000)), states=2)
    return decode(encoded.document, encoded.arrays, encoded.digest)


def wilder(bars: BarColumns, factor: float) -> BarColumns:
    close = 20_000 * np.exp(factor * np.log(bars.close / 20_000))
    return BarColumns(
        bars.close_ns, bars.interval_ns, close * 1.001, close * 0.999, close, bars.volume, bars.taker_base
    )


def test_more_of_the_same_market_raises_no_alarm(artefact: Artefact) -> None:
    rows = scored(artefact, paying_bars(paying_closes(1000, seed=78)))
    shape = shape_of(artefact, rows)
    assert (shape.rows, shape.verdict) == (WINDOW, Drift.STABLE)
    assert control(artefact.reference, rows.scores.tolist(), 0.0).alarms == 0
    for before, after in shape.occupancy.values():
        assert after == pytest.approx(before, abs=0.1)
    assert sum(after for _, after in shape.occupancy.values()) == pytest.approx(1.0)


def test_a_market_three_times_as_wild_is_an_alarm_in_both(artefact: Artefact) -> None:
    rows = scored(artefact, wilder(paying_bars(paying_closes(1000, seed=77)), 3.0))
    shape = shape_of(artefact, rows)
    assert shape.verdict == Drift.ALARM
    assert shape.psi["log_return"] > 0.25
    assert control(artefact.reference, rows.scores.tolist(), 0.0).alarms > 0
    assert shape.occupancy["turbulent"][1] > shape.occupancy["turbulent"][0] + 0.2


def test_too_few_rows_have_no_shape(artefact: Artefact) -> None:
    shape = shape_of(artefact, scored(artefact, paying_bars(paying_closes(FEWEST))))
    assert (shape.rows, shape.psi, shape.verdict) == (FEWEST - 1, {}, Drift.STABLE)


def test_the_level_carries_over_and_begins_anew_after_an_alarm() -> None:
    reference = ScoreReference(0.0, 1.0, -9.0, 0.5, 4.0)
    scores = (-np.random.default_rng(1).normal(1.0, 1.0, 80)).tolist()
    whole = control(reference, scores, 0.0)
    first = control(reference, scores[:33], 0.0)
    second = control(reference, scores[33:], first.level)
    assert (second.level, first.alarms + second.alarms) == (pytest.approx(whole.level), whole.alarms)
    assert whole.alarms > 0
    path, at = cusum(-np.array(scores), 0.5, 4.0)
    assert at is not None
    assert control(reference, scores[: at + 1], 0.0).alarms == 1
    assert control(reference, scores[:at], 0.0).level == pytest.approx(path[at - 1])


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"canary": True, "most_capital": 10}, "needs an end"),
        ({"canary": True, "until": "2026-01-01T00:00:00+00:00"}, "needs a bound"),
        ({"until": "2026-01-01"}, "with a time zone"),
        ({"champion": "yes"}, "true or false"),
        ({"most_capital": -1}, "zero or more"),
        ({"promote": True}, "has no promote"),
    ],
)
def test_an_envelope_nobody_should_approve_is_refused(members: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        envelope_read(members)


def test_an_envelope_allows_only_what_it_names_until_its_end() -> None:
    envelope = envelope_read({"champion": True, "until": "2026-01-01T00:00:00+00:00"})
    end_ns = 1_767_225_600_000_000_000  # 2026-01-01 00:00 UTC
    assert envelope.allows("champion", ns_to_datetime(end_ns - 1_000))
    assert not envelope.allows("champion", ns_to_datetime(end_ns))
    assert not envelope.allows("canary", ns_to_datetime(end_ns - 1_000))
    assert not envelope_read({}).allows("champion", ns_to_datetime(end_ns))
