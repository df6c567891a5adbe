"""What a strategy's signals may come to: together no more than its capital on the symbol, however many they are."""

from __future__ import annotations

from decimal import Decimal

from django.db import transaction

from trading.domain.orders import OPEN
from trading.domain.risk.answers import RailResult, denied
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import Side, decimal_text
from trading.models import Order, Strategy, StrategyInstance, SubPosition
from trading.selectors.marks import marks_read
from trading.services.orders.submission import OrderDenied, Submission
from trading.services.orders.submit import order_submit

RAIL = "strategy_capital"


def order_submit_within_capital(submission: Submission) -> Order:
    """Reserve an order of a strategy within its grant on the symbol, which is nothing where it has none.

    What the strategy holds, what of its orders is still working, and this order count together, in the worse
    direction. One that only reduces what the strategy holds passes. Signals of one strategy and symbol wait for one
    another here.

    Raises
    ------
    OrderDenied : EXPOSURE_STRATEGY, or as `order_submit`.
    """
    if submission.strategy is None:
        return order_submit(submission)
    # The denial's own row must outlive this transaction, so the refusal is raised after it.
    with transaction.atomic():
        instance = (
            StrategyInstance.objects.select_for_update(of=("self",), no_key=True)
            .filter(
                strategy=submission.strategy, account=submission.account, instrument=submission.instrument
            )
            .first()
        )
        granted = Decimal(0) if instance is None else instance.allocation * instance.weight
        refused = _refused(submission, submission.strategy, granted)
        if refused is None:
            try:
                return order_submit(submission)
            except OrderDenied as denial:
                outcome = denial
        else:
            check = {
                "rail": refused.rail,
                "passed": False,
                "code": str(refused.code),
                "measured": refused.measured,
                "limit": refused.limit,
                "unit": refused.unit,
                "detail": refused.detail,
            }
            outcome = OrderDenied(refused, [check], None)
    raise outcome


def _refused(submission: Submission, strategy: Strategy, granted: Decimal) -> RailResult | None:
    if Order.objects.filter(intent_key=submission.intent_key, account=submission.account).exists():
        return None  # asked for before: the same answer again
    side = submission.intent.side
    sign = 1 if side is Side.BUY else -1
    domain = submission.instrument.to_domain()
    held = sum(
        SubPosition.objects.filter(
            position__account=submission.account,
            position__instrument=submission.instrument,
            owner=strategy.name,
        ).values_list("quantity", flat=True),
        Decimal(0),
    )
    working = Order.objects.filter(
        account=submission.account,
        instrument=submission.instrument,
        strategy=strategy,
        side=side.value,
        status__in=[status.value for status in OPEN],
    )
    pending = sum((order.quantity - order.executed_quantity for order in working), Decimal(0))
    after = held + sign * (pending + domain.quantity(submission.intent.quantity))
    if submission.intent.reduce_only or (held * after >= 0 and abs(after) <= abs(held)):
        return None
    price = marks_read([submission.instrument.pk]).of(submission.instrument.pk)
    if price is None:
        return None  # every rail that needs one refuses it
    worth = abs(after) * price
    if worth <= granted:
        return None
    return denied(
        RAIL,
        DenyReason.EXPOSURE_STRATEGY,
        decimal_text(worth.quantize(Decimal("0.00000001"))),
        decimal_text(granted.quantize(Decimal("0.00000001"))),
        submission.instrument.quote_asset,
        f"{strategy.name} has {granted:,.2f} on {submission.instrument.symbol}",
    )
