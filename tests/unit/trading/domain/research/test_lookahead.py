"""The look-ahead test itself: planted leaks are found and named, causal code is left alone."""

import numpy as np
import pytest

from trading.domain.research.lookahead import LookaheadError, find_lookahead

N = 400


def bars(seed=1, n=N):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    opened = np.concatenate(([100.0], close[:-1]))
    return {
        "open_ns": np.arange(n, dtype=np.int64) * 60_000_000_000,
        "open": opened,
        "high": np.maximum(opened, close) * 1.002,
        "low": np.minimum(opened, close) * 0.998,
        "close": close,
        "volume": rng.lognormal(3, 0.5, n),
    }


def check(subject, table=None, **options):
    return find_lookahead(subject, table or bars(), rng=np.random.default_rng(9), **options)


def trailing(x, window):
    """Mean of the last `window` values, written so that it cannot see further."""
    return np.array([x[max(0, t - window + 1) : t + 1].mean() for t in range(len(x))])


def causal(table):
    close, volume = table["close"], table["volume"]
    returns = np.concatenate(([np.nan], np.diff(np.log(close))))
    fast, slow = trailing(close, 5), trailing(close, 20)
    forgetting = np.empty(len(close))
    level = close[0]
    for t, price in enumerate(close):
        level = forgetting[t] = 0.9 * level + 0.1 * price
    return {
        "return": returns,
        "fast": fast,
        "slow": slow,
        "ema": forgetting,
        "expanding_z": (volume - np.cumsum(volume) / np.arange(1, len(volume) + 1)),
        "highest_so_far": np.maximum.accumulate(table["high"]),
        "signal": np.sign(fast - slow),
        "order": np.concatenate(([False], np.diff(np.sign(fast - slow)) != 0)),
        "label": np.where(fast > slow, "up", "down"),
    }


def leaking(name, column):
    """Eight clean columns and one planted one."""

    def subject(table):
        return {**causal(table), name: column(table)}

    return subject


def shifted(x, by):
    return np.concatenate((x[by:], np.full(min(by, len(x)), np.nan)))[: len(x)]


def centred_mean(x, half):
    return np.array([x[max(0, t - half) : t + half + 1].mean() for t in range(len(x))])


def smoothed(x):
    """Forward and backward exponential averages: what a smoother does to every row but the last."""
    out = x.astype(float).copy()
    for t in range(1, len(x)):
        out[t] = 0.8 * out[t - 1] + 0.2 * out[t]
    for t in range(len(x) - 2, -1, -1):
        out[t] = 0.8 * out[t + 1] + 0.2 * out[t]
    return out


def slow_bar_close(x, length):
    """The close of a slower bar on all of its fast bars: known only at the last of them."""
    return np.array([x[min(len(x) - 1, t - t % length + length - 1)] for t in range(len(x))])


def back_filled(x):
    sparse = np.where(np.arange(len(x)) % 7 == 6, x, np.nan)
    known = np.flatnonzero(~np.isnan(sparse))
    at = np.searchsorted(known, np.arange(len(x)))
    return np.array([sparse[known[i]] if i < len(known) else np.nan for i in at])


PLANTED = {
    "next_return": (lambda t: shifted(t["close"], 1) / t["close"] - 1, 1, {"close"}, "next bar"),
    "label_10": (lambda t: shifted(t["close"], 10) / t["close"] - 1, 10, {"close"}, "10 bars after it"),
    "centred": (lambda t: centred_mean(t["high"], 3), 3, {"high"}, "centred window of 7"),
    "scaled": (lambda t: (t["volume"] - t["volume"].mean()) / (t["volume"].std() or 1.0), None, {"volume"}, "most of"),
    "smooth": (lambda t: smoothed(t["close"]), None, {"close"}, ""),
    "joined_early": (lambda t: slow_bar_close(t["close"], 5), None, {"close"}, "slower bar"),
    "back_filled": (lambda t: back_filled(t["low"]), None, {"low"}, "back-filling"),
    "share_of_length": (lambda t: np.arange(len(t["close"])) / len(t["close"]), None, set(), "how many bars"),
    "peeking_signal": (
        lambda t: (shifted(t["close"], 1) > t["close"]).astype(int), 1, {"close"}, "next bar",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_found_and_named_and_nothing_else_is(name):
    column, reach, inputs, words = PLANTED[name]
    report = check(leaking(name, column))
    assert [leak.column for leak in report.leaks] == [name]
    leak = report.leaks[0]
    if reach is not None:
        assert leak.reach == reach
    assert set(leak.inputs) == inputs
    assert words in leak.hint
    assert 0 <= leak.bar < leak.cut
    assert leak.with_future != leak.without_future


def test_the_bar_named_really_depends_on_the_future():
    table = bars()
    leak = check(leaking("scaled", PLANTED["scaled"][0])).leaks[0]
    shown = {name: values[: leak.bar + 1] for name, values in table.items()}
    assert PLANTED["scaled"][0](shown)[leak.bar] != pytest.approx(PLANTED["scaled"][0](table)[leak.bar])


def test_a_rare_signal_that_peeks_one_bar_is_found():
    def rare(table):
        # True only before falls of more than 2 %: about one bar in forty.
        return shifted(table["close"], 1) < table["close"] * 0.98

    assert check(leaking("rare", rare)).leaks[0].column == "rare"


@pytest.mark.parametrize("seed", range(6))
def test_causal_columns_on_noise_are_never_blamed(seed):
    report = check(causal, bars(seed))
    assert report.passed
    assert len(report.columns) == 9
    assert len(report.cuts) >= 20


def test_rounding_of_another_summation_order_is_no_leak():
    def by_cumulative_sums(table):
        # Sums taken from the end: the same means up to rounding, but rounded with all later rows.
        close = table["close"]
        total = np.concatenate((np.cumsum(close[::-1])[::-1], [0.0]))
        return {
            "mean": np.array(
                [(total[max(0, t - 4)] - total[t + 1]) / min(5, t + 1) for t in range(len(close))]
            )
        }

    assert check(by_cumulative_sums).passed
    assert not check(by_cumulative_sums, tolerance=0.0).passed


def test_a_subject_that_answers_differently_when_asked_twice_is_called_unsteady():
    memory = {}

    def remembers(table):
        # Learns the next close on the first call and uses it afterwards: a leak no single call shows.
        known = dict(zip(table["open_ns"][:-1].tolist(), table["close"][1:].tolist(), strict=True))
        answer = np.array([memory.get(t, 0.0) for t in table["open_ns"].tolist()])
        memory.update(known)
        return {"memory": answer}

    leak = check(remembers).leaks[0]
    assert (leak.found_by, leak.reach) == ("repetition", None)
    assert "keeps state outside" in leak.hint


def test_a_subject_that_writes_into_its_input_does_not_spoil_the_next_question():
    def scribbles(table):
        column = table["close"].copy()
        table["close"][:] = 0.0
        return {"close": column}

    assert check(scribbles).passed


def test_only_the_first_difference_counts_and_progress_is_told():
    seen = []
    report = check(causal, cuts=10, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == len(report.cuts)


@pytest.mark.parametrize(
    ("subject", "complaint"),
    [
        (lambda t: {"x": t["close"][1:]}, "expected 400 values"),
        (lambda t: {}, "no columns"),
        (lambda t: {f"x{len(t['close'])}": t["close"]}, "columns change with the number of bars"),
    ],
)
def test_answers_that_cannot_be_compared_are_refused(subject, complaint):
    with pytest.raises(LookaheadError, match=complaint):
        check(subject)


def test_too_few_bars_are_refused():
    with pytest.raises(LookaheadError, match="at least 8 rows"):
        check(causal, bars(n=7))
