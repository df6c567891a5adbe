"""Celery tasks: they carry ids only. Each finds its work in Postgres, and each may run twice or late."""

from __future__ import annotations

from functools import partial

import structlog
from celery import shared_task
from django.conf import settings

from nautilus_site.common.services.break_glass import break_glass_expire
from nautilus_site.common.services.change_requests import change_requests_expire
from nautilus_site.common.steps import step_alone
from trading.domain.errors import VenueError
from trading.domain.orders import OrderStatus
from trading.models import Account, Order, OrderCommand, StrategyInstance
from trading.services import breakers, equity, heartbeats, jobs, losses
from trading.services.account_modes import account_mode_is_due, account_mode_read
from trading.services.books.dust import dust_sweep
from trading.services.books.snapshots import snapshot_take, snapshots_due, snapshots_prune
from trading.services.brackets import bracket_step as step_bracket
from trading.services.brackets import (
    brackets_open,
    orphans_sweep,
    strategies_guard,
)
from trading.services.bucket_sweep import buckets_sweep, exposures_revalue
from trading.services.controls import enforcement_step, enforcements_due
from trading.services.demo import FUTURES_ACCOUNT, demo_futures_settings
from trading.services.execution.amend import amendments_open
from trading.services.execution.amend import order_amend as amend_at_venue
from trading.services.execution.cancel import order_cancel as cancel_at_venue
from trading.services.execution.commands import commands_close
from trading.services.execution.drain import orders_drain as drain
from trading.services.execution.resolve import order_resolve as resolve
from trading.services.execution.resolve import orders_in_doubt
from trading.services.first_measures import measures_awaited
from trading.services.flatten import flatten_step
from trading.services.income import income_sweep
from trading.services.invariants import invariants_check
from trading.services.key_probes import key_probe, keys_to_probe
from trading.services.key_tests import key_test, keys_to_test
from trading.services.planning import plan_refresh as refresh
from trading.services.planning import plans_due
from trading.services.quoting import makers_watched
from trading.services.reconcile import account_reconcile as reconcile
from trading.services.reconcile import account_resolve, reconcile_runs_prune, sweep_if_due
from trading.services.strategies import book_step, books_due, instances_due, strategy_step
from trading.services.strategies.listings import listing_take_up, listing_venues, listings_due
from trading.services.strategies.recording import steps_prune
from trading.services.strategies.results import results_prune
from trading.services.venue_clock import venue_clock_note
from trading.services.venue_events import venue_events_settle as settle_events
from trading.services.venues import execution_venue, futures_venue, probing_venue
from universe.services import instruments_sync, market_data_of, rate_counts_prune

log = structlog.get_logger(__name__)

KILL_ROUNDS = 40


@shared_task
def bar_closed(instrument_id: int, interval: str) -> None:
    """Step every strategy that decides on this bar."""
    instances = StrategyInstance.objects.filter(
        instrument_id=instrument_id, strategy__interval=interval, is_enabled=True, strategy__is_enabled=True
    )
    for instance_id in instances.values_list("pk", flat=True):
        strategy_step(instance_id=instance_id)


@shared_task
def book_changed(instrument_id: int) -> None:
    """Step every strategy that looks at this book, and bring its quotes to what it wants."""
    instances = StrategyInstance.objects.filter(
        instrument_id=instrument_id, steps_at_books=True, is_enabled=True, strategy__is_enabled=True
    )
    for instance_id, account_id, makes_market in instances.values_list("pk", "account_id", "makes_market"):
        if book_step(instance_id=instance_id) and makes_market:
            refresh(account_id=account_id, instrument_id=instrument_id)


@shared_task
def listing_opened(listing_id: int) -> None:
    """Give a symbol that has just opened to the strategies that may trade listings."""
    if not listing_take_up(listing_id=listing_id):
        log.info("listing_not_taken_up", listing_id=listing_id)


@shared_task
def listings_watch() -> None:
    """Look for new symbols more often than instruments are synced anyway, where somebody waits for them."""
    for venue in listing_venues():
        try:
            instruments_sync(venue, market_data_of(venue.market))
        except VenueError as error:
            log.warning("listings_not_watched", venue=venue.name, error=str(error)[:200])


@shared_task
def plan_refresh(account_id: int, instrument_id: int) -> None:
    """Compare wanted with held, and reserve the orders that lead there."""
    if not measures_awaited(account_id):  # the tick finds it again
        refresh(account_id=account_id, instrument_id=instrument_id)


@shared_task
def orders_drain(account_id: int, shard: int) -> None:
    """Send what is reserved."""
    drain(account_id=account_id, shard=shard)


@shared_task
def venue_events_settle(account_id: int) -> None:
    """Settle what the user stream has journalled."""
    settle_events(account_id=account_id)


@shared_task
def income_read(account_id: int) -> None:
    """Book what has changed a futures wallet without an order of ours: funding, transfers."""
    account = Account.objects.select_related("venue").get(pk=account_id)
    try:
        income_sweep(account, futures_venue(account))
    except VenueError as error:
        log.warning("income_not_read", account=account.name, error=str(error))


@shared_task
def trading_tick() -> None:
    """Once a second: do whatever a lost message left lying."""
    heartbeats.heartbeat(kind="worker-trading")
    heartbeats.heartbeat(kind="beat")
    for account in Account.objects.filter(is_active=True):
        with step_alone("trading_tick", account=account.name):
            settle_events(account_id=account.pk)
            for shard in range(account.shards):
                drain(account_id=account.pk, shard=shard)
        with step_alone("brackets", account=account.name):
            strategies_guard(account.pk)
            orphans_sweep(account.pk)
        for bracket_id in brackets_open(account.pk):
            with step_alone("bracket_step", bracket_id=bracket_id):
                step_bracket(bracket_id=bracket_id)
    for listing_id in listings_due():
        with step_alone("listing_take_up", listing_id=listing_id):
            listing_take_up(listing_id=listing_id)
    for instance_id in instances_due():
        with step_alone("strategy_step", instance_id=instance_id):
            strategy_step(instance_id=instance_id)
    for instance_id in books_due():
        with step_alone("book_step", instance_id=instance_id):
            book_step(instance_id=instance_id)
    for account_id, instrument_id in dict.fromkeys([*makers_watched(), *plans_due()]):
        if measures_awaited(account_id):
            continue
        with step_alone("plan_refresh", account_id=account_id, instrument_id=instrument_id):
            refresh(account_id=account_id, instrument_id=instrument_id)


@shared_task
def bracket_step(bracket_id: int) -> None:
    """Bring what protects a position to what should."""
    step_bracket(bracket_id=bracket_id)


@shared_task
def order_cancel(order_id: int) -> None:
    """Cancel one order at the exchange."""
    order = Order.objects.select_related("account__venue").get(pk=order_id)
    cancel_at_venue(order_id=order_id, venue=execution_venue(order.account))


@shared_task
def order_amend(command_id: int) -> None:
    """Take one step with an amendment."""
    command = OrderCommand.objects.select_related("order__account__venue").get(pk=command_id)
    try:
        amend_at_venue(command_id=command_id, venue=execution_venue(command.order.account))
    except VenueError as error:
        log.warning("amendment_not_known", command_id=command_id, error=str(error))


@shared_task
def order_resolve(order_id: int) -> None:
    """Ask what became of an order whose answer never came."""
    order = Order.objects.select_related("account__venue").get(pk=order_id)
    try:
        resolve(order_id=order_id, venue=execution_venue(order.account))
    except VenueError as error:
        log.warning("order_not_resolved", order_id=order_id, error=str(error))


@shared_task
def kill_enforce(account_id: int) -> None:
    """Cancel at the exchange until every level that demands it is confirmed for this account."""
    account = Account.objects.select_related("venue").get(pk=account_id)
    for _ in range(KILL_ROUNDS):
        due = enforcements_due(account, "control")
        if not due:
            return
        progressed = False
        for entry in due:
            row = enforcement_step(
                account=account,
                venue=execution_venue(account),
                due=entry,
                enforcer="control",
                connect=partial(execution_venue, account),
            )
            progressed = progressed or not row.error
        if not progressed:
            return  # the exchange cannot be reached; the next tick tries again


@shared_task
def account_reconcile(account_id: int, trigger: str, run_id: int | None = None) -> None:
    """Compare one account's books with the exchange."""
    account = Account.objects.select_related("venue").get(pk=account_id)
    reconcile(
        account_id=account_id,
        venue=execution_venue(account),
        trigger=trigger,
        run_id=run_id,
        market=partial(market_data_of, account.market),
    )


@shared_task
def account_mode(account_id: int) -> None:
    """Read how a futures account is set up."""
    account = Account.objects.select_related("venue").get(pk=account_id)
    try:
        account_mode_read(account, futures_venue(account))
    except VenueError as error:
        log.warning("account_mode_not_read", account=account.name, error=str(error)[:200])


@shared_task
def control_tick() -> None:
    """Once a second: kills, cancels, doubts, breakers, and reconciliations that are due."""
    heartbeats.heartbeat(kind="worker-control")
    accounts = list(Account.objects.select_related("venue").filter(is_active=True))
    # Stopping comes first: nothing that is measured or compared below may keep a kill waiting.
    for account in accounts:
        with step_alone("kill_enforce", account=account.name):
            if enforcements_due(account, "control"):
                kill_enforce(account_id=account.pk)
    change_requests_expire()
    break_glass_expire()
    with step_alone("breakers"):
        breakers.commit_measure()
        breakers.breakers_ensure()
        breakers.breakers_evaluate()
    for account in accounts:
        with step_alone("venue_clock", account=account.name):
            venue_clock_note(venue_name=account.venue.name, venue=execution_venue(account))
        with step_alone("account_measure", account=account.name):
            breakers.account_measure(account, execution_venue(account))
        with step_alone("account_mode", account=account.name):
            if account_mode_is_due(account):
                account_mode_read(account, futures_venue(account))
        with step_alone("flatten", account=account.name):
            flatten_step(account=account, venue=execution_venue(account))
        with step_alone("order_resolve", account=account.name):
            if orders_in_doubt(account.pk):
                account_resolve(account_id=account.pk, venue=execution_venue(account))
        for order_id in _cancels_pending(account.pk):
            with step_alone("order_cancel", order_id=order_id):
                cancel_at_venue(order_id=order_id, venue=execution_venue(account))
        for command_id in amendments_open(account.pk):
            with step_alone("order_amend", command_id=command_id):
                amend_at_venue(command_id=command_id, venue=execution_venue(account))
        commands_close(account.pk)
        with step_alone("reconcile", account=account.name):
            sweep_if_due(
                account=account,
                venue=lambda account=account: execution_venue(account),  # type: ignore[misc]
                market=partial(market_data_of, account.market),
            )
    for candidate_id in keys_to_probe():
        with step_alone("key_probe", candidate_id=candidate_id):
            key_probe(candidate_id=candidate_id, connect=probing_venue)
    for credential_id in keys_to_test():
        with step_alone("key_test", credential_id=credential_id):
            key_test(credential_id=credential_id, connect=probing_venue)


def _cancels_pending(account_id: int) -> list[int]:
    waiting = Order.objects.filter(
        account_id=account_id,
        cancel_requested_at__isnull=False,
        status__in=(OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED),
    )
    return list(waiting.values_list("pk", flat=True))


@shared_task
def equity_tick() -> None:
    """Every two seconds: write down and show what the accounts are worth.

    Beside the guardian, which judges by it: behind a long job the hard stops would be blind together.
    """
    equity.equity_mark()
    losses.losses_measure()


@shared_task
def jobs_tick() -> None:
    """Every two seconds: say that jobs are worked on, and write down the books that are due."""
    heartbeats.heartbeat(kind="worker-jobs")
    for account in snapshots_due():
        with step_alone("books_snapshot", account=account.name):
            snapshot_take(account)


@shared_task
def housekeeping() -> None:
    """Hourly: thin out what nobody looks at any more."""
    equity.equity_prune()
    results_prune()
    steps_prune()
    snapshots_prune()
    reconcile_runs_prune()
    breakers.breaker_windows_prune()
    rate_counts_prune()
    demo_futures()  # once more, should its first hint have been lost


@shared_task
def demo_futures() -> None:
    """Set the demo's futures account up at the paper exchange."""
    account = Account.objects.select_related("venue").filter(name=FUTURES_ACCOUNT).first()
    if account is None or settings.BINANCE_ENV != "local":
        return
    with step_alone("demo_futures", account=account.name):
        changed = demo_futures_settings(futures_venue(account))
        if changed:
            log.info("demo_leverage_set", symbols=changed)


@shared_task
def research_step(job_id: int) -> None:
    """Advance a backtest, or cut a sweep into parts."""
    jobs.job_step(job_id=job_id)


@shared_task
def research_part(part_id: int) -> None:
    """Run some configurations of a sweep."""
    jobs.part_step(part_id=part_id)


@shared_task
def research_tick() -> None:
    """Every ten seconds: take up jobs whose messages were lost."""
    jobs.jobs_hint()


@shared_task
def books_tick() -> None:
    """Every ten seconds: do the caps and the rows still say what they must say?"""
    buckets_sweep()
    exposures_revalue()
    for account in Account.objects.select_related("venue").filter(is_active=True, opened_at__isnull=False):
        with step_alone("dust", account=account.name):
            dust_sweep(account)
    invariants_check()
