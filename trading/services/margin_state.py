"""A futures account's margin and mode as the rails judge them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from django.db import connection

from nautilus_site.common.clock import now
from trading.domain.ports import FuturesMode
from trading.domain.risk import AccountMode, MarginState
from trading.domain.values import UNITS, Market
from trading.models import Account, MarginTerms
from universe.models import Instrument

# At mark where the feed brings one, else at the middle of the book. A position without either makes the whole unknown.
_SQL: Final = """
WITH held AS (
    SELECT p.quantity, p.cost, coalesce(t.leverage, 1) AS leverage,
           coalesce(q.mark_price, (q.bid + q.ask) / 2) AS price
      FROM trading_position AS p
      LEFT JOIN universe_quote AS q ON q.instrument_id = p.instrument_id
      LEFT JOIN trading_marginterms AS t ON t.account_id = p.account_id AND t.instrument_id = p.instrument_id
     WHERE p.account_id = %(account)s AND p.quantity <> 0
), sums AS (
    SELECT coalesce(sum(sign(quantity) * (abs(quantity) * price - cost)), 0) AS unrealized,
           coalesce(sum(abs(quantity) * price), 0) AS notional,
           coalesce(sum(abs(quantity) * price / leverage), 0) AS margin,
           coalesce(bool_or(price IS NULL), false) AS unpriced
      FROM held
)
SELECT b.amount, b.reserved, sums.unrealized, sums.notional, sums.margin, sums.unpriced,
       t.leverage, t.isolated,
       EXISTS (SELECT 1 FROM trading_divergence
                WHERE account_id = %(account)s AND kind = 'ACCOUNT_MODE' AND resolved_at IS NULL)
  FROM sums
  LEFT JOIN trading_balance AS b ON b.account_id = %(account)s AND b.asset = %(asset)s
  LEFT JOIN trading_marginterms AS t
    ON t.account_id = %(account)s AND t.instrument_id = %(instrument)s
"""


def margin_read(
    account: Account, instrument: Instrument, rate: Decimal
) -> tuple[AccountMode | None, MarginState | None]:
    """How the symbol is set up and what the account has left; None for what was never read.

    Parameters
    ----------
    rate : maintenance margin assumed of every position, a share of its notional.
    """
    parameters: dict[str, Any] = {
        "account": account.pk,
        "instrument": instrument.pk,
        "asset": instrument.quote_asset,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SQL, parameters)
        row = cursor.fetchone()
    amount, reserved, unrealized, notional, margin, unpriced, leverage, isolated, differs = row
    mode = None
    if leverage is not None:
        mode = AccountMode(
            hedge=account.hedge_mode != differs,
            isolated=isolated,
            leverage=leverage,
            expected_hedge=account.hedge_mode,
            expected_isolated=account.isolated_margin,
        )
    if amount is None or unpriced:
        return mode, None
    balance = amount + unrealized
    state = MarginState(
        balance=_units(balance),
        maintenance=-_units(-notional * rate),
        notional=_units(notional),
        available=_units(balance - margin - reserved),
        leverage=leverage or 1,
        maintenance_ppm=int(rate * 1_000_000),
    )
    return mode, state


def margin_terms_note(account: Account, mode: FuturesMode) -> int:
    """Keep leverage and margin type of every symbol as the venue has just told them. Returns how many."""
    moment = now()
    instruments = Instrument.objects.filter(venue=account.venue, market=Market.usdm, symbol__in=mode.leverage)
    rows = [
        MarginTerms(
            account=account,
            instrument_id=pk,
            leverage=max(1, mode.leverage[symbol]),
            isolated=bool(mode.isolated.get(symbol, False)),
            seen_at=moment,
        )
        for pk, symbol in instruments.values_list("pk", "symbol")
    ]
    MarginTerms.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["account", "instrument"],
        update_fields=["leverage", "isolated", "seen_at"],
    )
    return len(rows)


def _units(amount: Decimal) -> int:
    """Whole units of 1e-8, rounded down."""
    top, bottom = amount.as_integer_ratio()
    return top * UNITS // bottom
