"""From a plan's intent to a reserved order: named by the plan, judged by every rail."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import structlog
from django.conf import settings

from nautilus_site.common.errors import ApplicationError
from trading.domain.orders import OrderIntent, client_order_id
from trading.models import Account, Decision, Order, Plan
from trading.services.orders.submission import OrderDenied, Submission
from trading.services.orders.submit import order_submit
from universe.models import Instrument

log = structlog.get_logger(__name__)


def plan_send(
    account: Account,
    instrument: Instrument,
    plan: Plan,
    leg: int,
    intent: OrderIntent,
    latest: Decision,
    *,
    decided_at: datetime | None = None,
    replaces: Order | None = None,
) -> Order | None:
    """Reserve one order of a plan; None where a rail denied it, which is written down, or nothing could be judged.

    Parameters
    ----------
    latest : the decision it is for where the plan has no shares.
    decided_at : wall time from which it may still be sent for a while; the plan's own where not given.
    replaces : a working order that the same request cancels; nothing is placed unless that succeeded.
    """
    first = plan.shares.select_related("decision__instance__strategy").order_by("-share", "pk").first()
    decision = first.decision if first else latest
    strategy = decision.instance.strategy
    try:
        return order_submit(
            Submission(
                account=account,
                instrument=instrument,
                intent=intent,
                origin=Order.Origin.STRATEGY,
                intent_key=f"plan:{plan.pk}:{leg}",
                client_order_id=client_order_id(
                    settings.BINANCE_ENV,
                    account.name,
                    strategy.name,
                    f"plan-{plan.pk}-{decision.key}",
                    leg,
                    0,
                ),
                decided_at=decided_at or plan.created_at,
                strategy=strategy,
                plan=plan,
                decision=decision,
                part=first.share if first else Decimal(1),
                replaces=replaces,
            )
        )
    except OrderDenied as denial:
        log.info("order_denied", strategy=strategy.name, symbol=instrument.symbol, code=denial.code)
        return None
    except ApplicationError as error:
        log.warning("order_not_ready", symbol=instrument.symbol, code=error.code, message=error.message)
        return None
