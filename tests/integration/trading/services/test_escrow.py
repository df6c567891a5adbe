"""The cap over everything in parts: whoever asks, together they never pass it, and nothing of it gets lost."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import transaction
from django.db.models import F, Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.factories.threads import of_type, run_together
from tests.factories.trading import trader
from trading.models import ExposureBucket, ExposureEscrow, RiskLimit, TradingState
from trading.services.bucket_sweep import buckets_sweep, level_scope
from trading.services.controls import limit_change
from trading.services.escrow import escrow_cap_set, escrow_ensure, escrow_settle
from trading.services.exposure import bucket_scopes, buckets_locked, buckets_move, buckets_reserve
from trading.services.orders import OrderDenied

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.factories.trading import Desk

ACCOUNTS = ("one", "two", "three")
WORKERS = 8


@transaction.atomic
def take(account: str, amount: Decimal) -> bool:
    """What Tx A does with the buckets, without the order around it."""
    scopes = bucket_scopes(account, "BTCUSDT", None)
    buckets_locked(scopes)
    if not escrow_ensure(account, amount):
        return False
    if not buckets_reserve(scopes, amount):
        transaction.set_rollback(True)
        return False
    return True


@transaction.atomic
def give(account: str, amount: Decimal) -> None:
    buckets_move(dict.fromkeys(bucket_scopes(account, "BTCUSDT", None), -amount))


def parts() -> tuple[Decimal, Decimal]:
    """Used and granted over all accounts, in one statement."""
    sums = ExposureBucket.objects.filter(scope__startswith="global:").aggregate(
        used=Sum("used"), cap=Sum("cap")
    )
    return sums["used"] or Decimal(0), sums["cap"] or Decimal(0)


def cap_everywhere(value: int) -> None:
    """Set the cap over everything; the narrower ones are far away."""
    RiskLimit.objects.filter(name__in=["exposure_symbol", "exposure_account"]).update(value=10**9)
    RiskLimit.objects.filter(name="exposure_global").update(value=value)
    with transaction.atomic():
        escrow_cap_set(Decimal(value))


def test_many_workers_on_many_accounts_never_pass_the_cap_and_lose_nothing(shared_desk: Desk) -> None:
    cap_everywhere(1_000)

    def work(seed: int) -> dict[str, Decimal]:
        rng, held = random.Random(seed), dict.fromkeys(ACCOUNTS, Decimal(0))
        for _ in range(25):
            account = rng.choice(ACCOUNTS)
            if held[account] and rng.random() < 0.4:
                amount = min(held[account], Decimal(rng.randrange(1, 300)))
                give(account, amount)
                held[account] -= amount
            else:
                amount = Decimal(rng.randrange(1, 300)) + Decimal("0.00000001")
                if take(account, amount):
                    held[account] += amount
            used, granted = parts()
            assert used <= 1_000
            assert granted <= 1_000
        return held

    results = run_together(*[lambda s=seed: work(s) for seed in range(WORKERS)])
    assert not of_type(results, Exception), results
    for account in ACCOUNTS:
        held = sum((result[account] for result in results), Decimal(0))
        assert ExposureBucket.objects.get(scope=f"global:{account}").used == held
    assert ExposureEscrow.objects.get().granted == parts()[1]


def test_what_lies_idle_in_one_account_serves_another(shared_desk: Desk) -> None:
    cap_everywhere(1_000)
    assert take("one", Decimal(900))
    assert not take("two", Decimal(101))
    give("one", Decimal(900))
    assert take("two", Decimal(1_000)), "everything is idle, wherever it was granted"
    assert not take("one", Decimal("0.00000001"))


def test_the_allocator_takes_back_what_lies_idle_and_leaves_what_is_used(shared_desk: Desk) -> None:
    cap_everywhere(1_000)
    assert take("one", Decimal(900))
    give("one", Decimal(800))
    escrow_settle()
    part = ExposureBucket.objects.get(scope="global:one")
    assert (part.used, part.cap) == (100, 200)  # two helpings of a twentieth stay at hand
    assert ExposureEscrow.objects.get().granted == 200


def test_a_cap_lowered_below_its_use_applies_as_the_use_falls(
    desk: Desk, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    desk.submit("BUY", "0.02")  # 1,200 USDT
    with django_capture_on_commit_callbacks(execute=True):
        for name in ("exposure_symbol", "exposure_global"):
            limit_change(name=name, scope="global", value=Decimal(500), reason="calmer", actor=trader())
    bucket = ExposureBucket.objects.get(scope="symbol:desk:BTCUSDT")
    assert (bucket.used, bucket.cap, bucket.cap_target, bucket.overrun) == (1_200, 1_200, 500, 0)
    assert ExposureEscrow.objects.get().cap_target == 500
    assert {s.scope: s.level for s in TradingState.objects.all()} == {"global": 1, "symbol:BTCUSDT": 1}
    with pytest.raises(OrderDenied):
        desk.submit("BUY", "0.001", symbol="ETHUSDT", price="3000")
    scopes = bucket_scopes("desk", "BTCUSDT", None)
    buckets_move(dict.fromkeys(scopes, Decimal(-500)))
    bucket.refresh_from_db()
    assert (bucket.used, bucket.cap, bucket.cap_target) == (700, 700, 500), (
        "it leaves no room on its way down"
    )
    buckets_move(dict.fromkeys(scopes, Decimal(-300)))
    bucket.refresh_from_db()
    assert (bucket.used, bucket.cap, bucket.cap_target) == (400, 500, None)
    escrow_settle()
    escrow = ExposureEscrow.objects.get()
    assert (escrow.cap, escrow.cap_target) == (500, None)


def test_the_sweeper_finds_nothing_in_books_that_are_right(desk: Desk) -> None:
    desk.limit(near_duplicate_window=0)
    desk.send(desk.submit("BUY", "0.016", price="60010", strategy=desk.strategies["trend"]))
    desk.send(desk.submit("SELL", "0.006", price="59990"))
    desk.submit("BUY", "0.1", symbol="ETHUSDT", price="3000", strategy=desk.strategies["swing"])
    assert buckets_sweep() == []
    assert TradingState.objects.get().level == 0


@pytest.mark.parametrize(
    "scope", ["symbol:desk:BTCUSDT", "strategy:trend", "account:desk", "global:desk", "strategy:nobody"]
)
def test_a_bucket_that_differs_by_a_cent_halts_its_scope_and_is_left_as_it_is(desk: Desk, scope: str) -> None:
    desk.submit("BUY", "0.01", strategy=desk.strategies["trend"])
    ExposureBucket.objects.get_or_create(scope=scope, defaults={"cap": 10})
    ExposureBucket.objects.filter(scope=scope).update(used=F("used") + Decimal("0.01"))
    before = ExposureBucket.objects.get(scope=scope).used
    (found,) = buckets_sweep()
    assert (found.scope, found.used - found.expected) == (scope, Decimal("0.01"))
    assert TradingState.objects.get(scope=level_scope(scope)).level == 2
    assert ExposureBucket.objects.get(scope=scope).used == before
    changes = TradingState.objects.get(scope="global").version
    buckets_sweep()
    assert TradingState.objects.get(scope="global").version == changes, "one halt for one difference"


class EscrowMachine(RuleBasedStateMachine):
    """Batches of eight concurrent operations against Postgres, beside a model that only adds and subtracts."""

    def __init__(self) -> None:
        super().__init__()
        ExposureBucket.objects.all().delete()
        ExposureEscrow.objects.all().delete()
        cap_everywhere(1_000)
        self.held: dict[str, Decimal] = dict.fromkeys(ACCOUNTS, Decimal(0))
        self.cap = Decimal(1_000)

    amounts = st.lists(
        st.tuples(st.sampled_from(ACCOUNTS), st.decimals("0.01", "400", places=2)),
        min_size=WORKERS,
        max_size=WORKERS,
    )

    @rule(asked=amounts)
    def reserve(self, asked: list[tuple[str, Decimal]]) -> None:
        before = sum(self.held.values())
        results = run_together(*[lambda a=account, n=amount: take(a, n) for account, amount in asked])
        assert not of_type(results, Exception), results
        for (account, amount), taken in zip(asked, results, strict=True):
            if taken:
                self.held[account] += amount
        if not any(results) and before <= self.cap:
            # Alone, an order that fits is never refused: what is idle elsewhere comes to it.
            account, amount = min(asked, key=lambda one: one[1])
            assert take(account, amount) == (before + amount <= self.cap)
            self.held[account] += amount if before + amount <= self.cap else 0

    @rule(account=st.sampled_from(ACCOUNTS), share=st.integers(1, 4))
    def release(self, account: str, share: int) -> None:
        amount = (self.held[account] / share).quantize(Decimal("0.01"))
        pieces = [amount / 2, amount - amount / 2]
        run_together(*[lambda n=piece: give(account, n) for piece in pieces])
        self.held[account] -= amount

    @rule(cap=st.integers(100, 2_000))
    def change_the_cap(self, cap: int) -> None:
        cap_everywhere(cap)
        self.cap = Decimal(cap)

    @rule()
    def allocate(self) -> None:
        escrow_settle()

    @invariant()
    def parts_hold_what_the_model_holds(self) -> None:
        rows = {b.scope: b for b in ExposureBucket.objects.filter(scope__startswith="global:")}
        for account, held in self.held.items():
            row = rows.get(f"global:{account}")
            assert (row.used if row else 0) == held
            assert row is None or row.used <= row.cap
        escrow = ExposureEscrow.objects.get()
        assert escrow.granted == sum(row.cap for row in rows.values())
        assert escrow.granted <= escrow.cap
        if escrow.cap_target is None:
            assert escrow.cap == self.cap
        else:
            assert (escrow.cap_target, escrow.cap) == (self.cap, escrow.granted)


def test_no_interleaving_of_eight_workers_ever_passes_the_cap(shared_desk: Desk) -> None:
    run_state_machine_as_test(
        EscrowMachine,
        settings=settings(
            max_examples=3,
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
