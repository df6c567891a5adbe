"""What the compiled loop reads and where it writes: tuples of whole numbers and of arrays, which numba takes apart."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from trading.domain.backtest.series import FloatArray, IntArray

CodeArray = npt.NDArray[np.int8]

OPEN_NS: Final = 0
T_OPEN: Final = 1
CLOSE_NS: Final = 2
T_CLOSE: Final = 3


class Setup(NamedTuple):
    """Settings as whole numbers; flags are 0 or 1, rates parts of 1e-8, money quote units, 0 for none.
    `largest` is the most that equity may become."""

    cash: int
    quantity: int
    capital: int
    share: int
    usable: int
    band: int
    max_child: int
    same_close: int
    through: int
    long_only: int
    leverage: int
    largest: int


class Columns(NamedTuple):
    """The bars of one series: times, prices in ticks (`t`) and in quote currency (`p`), volume in base.

    `rows` are (N, 4): what every order reads of its bar lies together, in one line of the cache. `arrival` is empty
    where orders arrive at the next open.
    """

    rows: IntArray
    t_high: IntArray
    t_low: IntArray
    p_open: FloatArray
    p_high: FloatArray
    p_low: FloatArray
    p_close: FloatArray
    volume: FloatArray
    arrival: IntArray
    daily: FloatArray
    sigma: FloatArray


class FundingColumns(NamedTuple):
    """Funding times, and for each bar the range of them that falls to it: (N + 1,) `bar_from`."""

    bar_from: IntArray
    times_ns: IntArray
    rates: IntArray
    marks: IntArray


class Tables(NamedTuple):
    """Where the loop writes: rows as in `ledger.py`, orders in flight, the last orders that went out, and the
    measures of the account's and the strategy's losses."""

    fills: IntArray
    refusals: IntArray
    paid: IntArray
    flights: IntArray
    recent: IntArray
    account: IntArray
    strategy: IntArray


class Said(NamedTuple):
    """What a strategy says at each bar, known beforehand: reason numbers, 0 for nothing, and the target of each.

    Empty where the step has to be asked. `words` are the codes once more, eight at a time.
    """

    codes: CodeArray
    words: IntArray
    targets: FloatArray
