"""The generator's true regimes over a restart: written down whenever one changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from testnet.klines import MINUTE_MS, Bar
from testnet.listing import Listing
from testnet.market.driver import Driver
from testnet.market.synthetic import KEEP_TRUTH
from testnet.persistence import Handler, Record
from testnet.tape import Aggregate, Trade

Rows = list[tuple[int, int]]


class TruthBook:
    """Runs of equal regimes by symbol; a `Part`, and a market listener for the closes of minutes."""

    name = "truth"

    def __init__(self, driver: Driver, append: Callable[[Record], None]) -> None:
        self._driver = driver
        self._append = append
        self._runs: dict[str, Rows] = {}  # by `instrument.key`: first minute and regime of each run

    def note(self, key: str, rows: Rows, *, is_new: bool = False) -> None:
        """Write down what is not yet known of a symbol's minutes, ascending; `is_new` forgets what was."""
        runs: Rows = [] if is_new else self._runs.get(key, [])
        fresh: Rows = []
        for at, regime in rows:
            last = fresh[-1] if fresh else runs[-1] if runs else None
            if last is None or (at > last[0] and regime != last[1]):
                fresh.append((at, regime))
        if fresh:
            self._append({"t": "truth", "k": key, "runs": fresh, "new": is_new})
            self._extend(key, fresh, is_new=is_new)

    def _extend(self, key: str, fresh: Rows, *, is_new: bool) -> None:
        if is_new:
            self._runs.pop(key, None)
        runs = self._runs.setdefault(key, [])
        runs.extend(fresh)
        oldest = runs[-1][0] - KEEP_TRUTH * MINUTE_MS
        while len(runs) > 1 and runs[1][0] <= oldest:
            runs.pop(0)

    def rows(self, key: str, until_ms: int) -> Rows:
        """(open time, regime) of every known minute before a moment, as many as a feed keeps."""
        runs = self._runs.get(key)
        if not runs:
            return []
        ends = [at for at, _ in runs[1:]] + [until_ms // MINUTE_MS * MINUTE_MS]
        found = [
            (at, regime)
            for (start, regime), end in zip(runs, ends, strict=True)
            for at in range(start, end, MINUTE_MS)
        ]
        return found[-KEEP_TRUTH:]

    # -- what the market does --------------------------------------------------------------

    def trade(self, listing: Listing, trade: Trade) -> None:
        """Trades tell nothing of regimes."""

    def aggregates(self, listing: Listing, aggregates: list[Aggregate]) -> None:
        """Nor do their aggregates."""

    def bars_closed(self, listing: Listing, closed: list[tuple[str, Bar]]) -> None:
        """Note the regime of the minute that closed."""
        rows = self._driver.feed(listing).truth()
        # A symbol's first minute: what an earlier listing of the same name was is over.
        self.note(listing.instrument.key, rows[-1:], is_new=len(rows) == 1)

    # -- over a restart --------------------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """Journal records of this part."""
        return {"truth": self._noted_again}

    def _noted_again(self, record: Record) -> None:
        self._extend(record["k"], [(at, regime) for at, regime in record["runs"]], is_new=record["new"])

    def state(self) -> Record:
        """Everything a restart needs."""
        return {key: [list(run) for run in runs] for key, runs in self._runs.items()}

    def restore(self, state: Record) -> None:
        """Continue from `state()`."""
        self._runs = {key: [(at, regime) for at, regime in runs] for key, runs in state.items()}

    def recovered(self) -> None:
        """Nothing to arm."""
