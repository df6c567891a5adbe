"""One small world under one seed: rows that commit, executors that crash and sleep, a venue that misbehaves.

Everything that decides is the product's (`trading.domain.execution`, `.orders`, `.reconcile`); what is made here is
what the product reads and writes: a clock, rows, leases, a wire and an exchange. Processes are generators that yield
the nanoseconds until they go on; between two steps of one any other may run, be killed or wake up. The trace names
everything that happened, so that equal seeds can be shown to be equal runs.
"""

from __future__ import annotations

from tests.simulation.agenda import Agenda, Process
from tests.simulation.rows import AtVenue, Broken, Lease, Parent, Row
from trading.domain.errors import OutcomeUnknown, VenueError, VenueRejected, VenueUnavailable
from trading.domain.execution import (
    MS,
    RECV_WINDOW_MS,
    SECOND,
    TAKEOVER_GRACE_NS,
    LeaseView,
    Ready,
    Step,
    after_answer,
    child_fits,
    given_back,
    next_cancel,
    next_step,
    sender_lost,
    state_after,
)
from trading.domain.orders import OPEN, OrderStatus, advance, from_venue, is_terminal
from trading.domain.reconcile import absence_proven
from trading.domain.values import Level

S = OrderStatus
LEASE_LIFE_NS = 10 * SECOND
TTL_NS = 15 * SECOND
CALL_TIMEOUT_NS = 6 * SECOND


class World(Agenda):
    """Runs one seed to quiet."""

    def __init__(self, seed: int, *, orders: int = 25, lanes: int = 2, trouble_s: int = 60) -> None:
        super().__init__(seed, trouble_s=trouble_s)
        self.rows: dict[int, Row] = {}
        self.parents: dict[int, Parent] = {}
        self.leases = [Lease() for _ in range(lanes)]
        self.venue: dict[str, AtVenue] = {}
        self.used, self.cap = 0, 400
        self.level = Level.ACTIVE
        self.late: list[str] = []
        self._orders = orders

    # --- running -------------------------------------------------------------------------------------------------

    def run(self) -> str:
        """Run until nothing is left to happen; returns the trace's digest.

        Raises
        ------
        Broken : an invariant did not hold.
        """
        for number in range(2):
            self.spawn(f"worker{number}", self._worker)
        self.spawn("resolver", self._resolver)
        self.spawn("canceler", self._canceler)
        self.start(self._decisions())
        self.start(self._exchange())
        self.start(self._people())
        self.start(self._sweep())
        for _ in self.happen(until_ns=self.trouble_until + 120 * SECOND):
            self._watch()
        self._judge()
        return self.digest

    # --- Tx A ----------------------------------------------------------------------------------------------------

    def _decisions(self) -> Process:
        for number in range(self._orders):
            wanted = self.rng.randint(5, 40)
            self.parents[number] = Parent(wanted)
            for _ in range(self.rng.randint(1, 3)):
                # A router with a fault of its own: it may ask for anything.
                self._reserve(number, self.rng.randint(1, wanted + 5))
            yield self.rng.randrange(100 * MS, 3 * SECOND)

    def _reserve(self, parent_number: int, quantity: int) -> None:
        parent = self.parents[parent_number]
        fits = child_fits(parent.wanted, parent.sent, quantity, sends=parent.children, max_sends=3)
        if not fits or self.level is not Level.ACTIVE or self.used + quantity > self.cap:
            self.note("denied", parent_number, quantity)
            return
        row = Row(
            len(self.rows),
            len(self.rows) % len(self.leases),
            quantity,
            parent_number,
            self.now,
            held=quantity,
        )
        self.rows[row.number] = row
        self.used += quantity
        parent.sent += quantity
        parent.children += 1
        self.note("reserved", row.cid, quantity)

    # --- Tx B, send, Tx C ----------------------------------------------------------------------------------------

    def _worker(self, name: str) -> Process:
        while True:
            for lane in range(len(self.leases)):
                if any(r.lane == lane and r.status is S.RESERVED for r in self.rows.values()):
                    yield from self._drain(name, lane)
            yield self.rng.randrange(50 * MS, 500 * MS)

    def _drain(self, name: str, lane: int) -> Process:
        lease = self.leases[lane]
        free = not lease.holder or lease.until_ns + TAKEOVER_GRACE_NS < self.now
        if not free:
            return
        lease.fence, lease.holder, lease.until_ns = lease.fence + 1, name, self.now + LEASE_LIFE_NS
        fence = lease.fence
        self.note("lease", lane, fence, name)
        yield self._latency()
        for row in [r for r in self.rows.values() if r.lane == lane]:
            yield self._latency()
            if lease.holder == name and lease.fence == fence:
                lease.until_ns = self.now + LEASE_LIFE_NS if self.now < lease.until_ns else lease.until_ns
            left = lease.until_ns - self.now if lease.holder == name and lease.fence == fence else 0
            ready = Ready(status=row.status, expires_ns=row.created_ns + TTL_NS, reducing=False)
            decided = next_step(ready, LeaseView(left), self.level, "global", self.now)
            if decided.step is Step.STOP:
                return
            if decided.step is Step.RELEASE:
                self._end(row, S.RELEASED)
            if decided.step is not Step.SEND:
                continue
            row.status, row.fence = advance(row.status, S.SENDING), fence
            row.timestamp_ms, row.sent_ns, row.sends = self._venue_ms(), self.now, row.sends + 1
            self.note("sending", row.cid, fence)
            yield self._latency()
            answer: list[VenueError | str] = []
            self._place(row.cid, row.quantity, row.timestamp_ms, answer)
            waited = 0
            while not answer and waited < CALL_TIMEOUT_NS:
                yield 50 * MS
                waited += 50 * MS
            told = answer[0] if answer else OutcomeUnknown(row.cid, "no answer")
            yield self._latency()
            if isinstance(told, str):
                self._settle(row, told)
                continue
            verdict = after_answer(told, fence_holds=lease.fence == fence)
            if verdict.status is S.UNKNOWN:
                row.status = advance(row.status, S.UNKNOWN)
            elif verdict.status is not None and row.status is S.SENDING:
                self._end(row, verdict.status)
            self.note("answer", row.cid, verdict.status)
        if lease.fence == fence and lease.holder == name:
            lease.holder, lease.until_ns = "", self.now

    def _settle(self, row: Row, cid: str) -> None:
        """Book what the exchange says of an order, from whatever source; `cid` names its row there."""
        there = self.venue[cid]
        told = from_venue(there.status)
        row.told_executed = max(row.told_executed, there.executed)
        row.executed = max(row.executed, there.executed)
        if row.told is None or not is_terminal(row.told):
            row.told = told
        before = row.status
        after = state_after(
            before,
            quantity=row.quantity,
            executed=row.executed,
            told=row.told,
            told_executed=row.told_executed,
        )
        if before is S.ABSENT and after is not before:
            self.late.append(row.cid)
        if after is before:
            return
        if is_terminal(after):
            self._end(row, after)
        else:
            row.status = after
        self.note("settled", row.cid, row.status, row.executed)

    def _end(self, row: Row, status: OrderStatus) -> None:
        row.status = advance(row.status, status)
        row.releases += 1
        self.used -= row.held
        row.held = 0
        self.parents[row.parent].sent -= given_back(status, row.quantity, row.executed)
        self.note("ended", row.cid, status)

    # --- S1, cancels, S2 -----------------------------------------------------------------------------------------

    def _resolver(self, name: str) -> Process:
        while True:
            yield self.rng.randrange(500 * MS, 1500 * MS)
            for row in list(self.rows.values()):
                if sender_lost(row.status, row.sent_ns, self.now):
                    row.status = advance(row.status, S.UNKNOWN)
                if row.status is not S.UNKNOWN:
                    continue
                yield self._latency()
                if self._read_fails():
                    continue
                if self._visible(row.cid):
                    yield self._latency()
                    self._settle(row, row.cid)
                    continue
                row.not_found.append(self._venue_ms())
                there = self._visible(row.cid)
                proven = absence_proven(
                    row.timestamp_ms,
                    RECV_WINDOW_MS,
                    self._venue_ms(),
                    tuple(row.not_found[-10:]),
                    there,
                    False,
                )
                if proven and row.status is S.UNKNOWN:
                    self._end(row, S.ABSENT)

    def _canceler(self, name: str) -> Process:
        while True:
            yield self.rng.randrange(300 * MS, 2 * SECOND)
            for row in list(self.rows.values()):
                if not row.cancel_asked and self.rng.random() < 0.05:
                    row.cancel_asked = True
                if not row.cancel_asked or next_cancel(row.status).value != "SEND":
                    continue
                yield self._latency()
                if self._read_fails():
                    continue
                there = self.venue[row.cid]
                if there.status in ("NEW", "PARTIALLY_FILLED"):
                    there.status = "CANCELED"
                    self.note("canceled", row.cid)
                    self._tell(there)
                yield self._latency()
                self._settle(row, row.cid)

    def _sweep(self) -> Process:
        """What no stream told: every order the exchange lists, every ten seconds."""
        while True:
            yield 10 * SECOND
            for row in list(self.rows.values()):
                if row.cid in self.venue and row.status not in (S.SENDING, S.UNKNOWN):
                    self._settle(row, row.cid)

    def _people(self) -> Process:
        yield self.rng.randrange(10, 40) * SECOND
        self.level = Level.HALT_NEW
        sent = {row.number for row in self.rows.values() if row.sends}
        self.note("kill committed")
        yield self.rng.randrange(2, 12) * SECOND
        for row in self.rows.values():
            if row.sends and row.number not in sent:
                raise Broken(f"{row.cid} was authorised after the kill was committed")
        self.level = Level.ACTIVE
        self.note("resumed")

    # --- the wire and the exchange -------------------------------------------------------------------------------

    def _latency(self) -> int:
        return self.rng.randrange(1 * MS, 30 * MS)

    def _venue_ms(self) -> int:
        return self.now // MS

    def _read_fails(self) -> bool:
        return self.trouble and self.rng.random() < 0.3

    def _place(self, cid: str, quantity: int, timestamp_ms: int, answer: list[VenueError | str]) -> None:
        fault = self.rng.random() if self.trouble else 1.0
        delay = self._latency()
        if fault < 0.05:  # lost on the way there
            return
        if fault < 0.10:
            self.at(delay, lambda: answer.append(VenueUnavailable(1.0, "busy", -1008)))
            return
        if fault < 0.20:  # long on the way, perhaps beyond its window
            delay = self.rng.randrange(4 * SECOND)
        lost = 0.20 <= fault < 0.32  # carried out, and the answer is lost
        # In time, answered with "unknown" at once, carried out up to the venue's processing time-out later.
        processing = self.rng.randrange(9 * SECOND) if 0.32 <= fault < 0.40 else 0

        def arrive() -> None:
            if self._venue_ms() > timestamp_ms + RECV_WINDOW_MS:
                answer.append(VenueRejected(-1021, "outside of the recvWindow"))
                return
            if processing:
                answer.append(OutcomeUnknown(cid, "execution status unknown"))
            self.at(processing, carry_out)

        def carry_out() -> None:
            if cid in self.venue:
                self.venue[cid].arrivals += 1
                return
            lag = self.rng.randrange(4 * SECOND) if self.trouble and self.rng.random() < 0.3 else 0
            self.venue[cid] = AtVenue(cid, quantity, visible_ns=self.now + lag)
            self.note("arrived", cid)
            self._tell(self.venue[cid])
            if not lost and not processing:
                self.at(self._latency(), lambda: answer.append(cid))

        self.at(delay, arrive)

    def _visible(self, cid: str) -> bool:
        return cid in self.venue and self.venue[cid].visible_ns <= self.now

    def _exchange(self) -> Process:
        while True:
            yield self.rng.randrange(100 * MS, 800 * MS)
            working = [o for o in self.venue.values() if o.status in ("NEW", "PARTIALLY_FILLED")]
            if not working:
                continue
            order = self.rng.choice(working)
            order.executed += self.rng.randint(1, order.quantity - order.executed)
            order.status = "FILLED" if order.executed == order.quantity else "PARTIALLY_FILLED"
            self.note("traded", order.cid, order.executed)
            self._tell(order)

    def _tell(self, order: AtVenue) -> None:
        """The user stream: lost, doubled or late while there is trouble."""
        row = next(r for r in self.rows.values() if r.cid == order.cid)
        times = self.rng.choice((0, 0, 1, 1, 1, 2)) if self.trouble else 1
        for _ in range(times):
            delay = (
                self.rng.randrange(5 * SECOND)
                if self.trouble and self.rng.random() < 0.2
                else self._latency()
            )
            self.at(delay, lambda: self._settle(row, order.cid))

    # --- judging -------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """What holds at every instant."""
        if not 0 <= self.used <= self.cap:
            raise Broken(f"{self.used} used of {self.cap}")
        for parent in self.parents.values():
            if parent.sent > parent.wanted:
                raise Broken(f"orders of {parent.sent} for a decision of {parent.wanted}")

    def _judge(self) -> None:
        """What holds at the end."""
        if self.late:
            raise Broken(f"proven absent and landed: {self.late}")
        for row in self.rows.values():
            there = self.venue.get(row.cid)
            if row.sends > 1 or (there is not None and there.arrivals > 1):
                raise Broken(f"{row.cid} was sent more than once")
            if row.status in (S.RESERVED, S.SENDING, S.UNKNOWN):
                raise Broken(f"{row.cid} is still {row.status}")
            if there is None:
                if row.status not in (S.RELEASED, S.REJECTED, S.ABSENT):
                    raise Broken(f"{row.cid} is {row.status} and never arrived")
                continue
            if row.status.value != there.status or row.executed != there.executed:
                raise Broken(
                    f"{row.cid}: {row.status} {row.executed}, at the venue {there.status} {there.executed}"
                )
        for row in self.rows.values():
            if row.releases != (row.status not in OPEN):
                raise Broken(f"{row.cid} was released {row.releases} times")
        held = sum(row.held for row in self.rows.values())
        if held != self.used:
            raise Broken(f"{self.used} used, orders hold {held}")
