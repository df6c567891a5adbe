"""A futures account's margin and mode as the rails judge them."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from django.db import connection

from nautilus_site.common.clock import now
from trading.domain.margin import MarginBracket, MarginHeld, flat_brackets
from trading.domain.ports import FuturesMode
from trading.domain.risk import AccountMode, MarginState
from trading.domain.values import UNITS, Market, PositionSide, decimal_text
from trading.models import Account, MarginTerms
from universe.models import Instrument

# At mark where the feed brings one, else at the middle of the book. A position without either makes the whole unknown.
_SQL: Final = """
WITH held AS (
    SELECT p.quantity, p.cost, coalesce(t.leverage, 1) AS leverage,
           coalesce(q.mark_price, (q.bid + q.ask) / 2) AS price,
           p.instrument_id = %(instrument)s AND p.position_side = %(side)s AS traded,
           coalesce(t.brackets, '[]'::jsonb)::text AS brackets
      FROM trading_position AS p
      LEFT JOIN universe_quote AS q ON q.instrument_id = p.instrument_id
      LEFT JOIN trading_marginterms AS t ON t.account_id = p.account_id AND t.instrument_id = p.instrument_id
     WHERE p.account_id = %(account)s AND p.quantity <> 0
), sums AS (
    SELECT coalesce(sum(sign(quantity) * (abs(quantity) * price - cost)), 0) AS unrealized,
           json_agg(json_build_array((abs(quantity) * price)::text, quantity < 0, traded, brackets)) AS held,
           coalesce(sum(abs(quantity) * price / leverage), 0) AS margin,
           coalesce(bool_or(price IS NULL), false) AS unpriced
      FROM held
)
SELECT b.amount, b.reserved, sums.unrealized, sums.held, sums.margin, sums.unpriced,
       t.leverage, t.isolated, coalesce(t.brackets, '[]'::jsonb)::text,
       EXISTS (SELECT 1 FROM trading_divergence
                WHERE account_id = %(account)s AND kind = 'ACCOUNT_MODE' AND resolved_at IS NULL)
  FROM sums
  LEFT JOIN trading_balance AS b ON b.account_id = %(account)s AND b.asset = %(asset)s
  LEFT JOIN trading_marginterms AS t
    ON t.account_id = %(account)s AND t.instrument_id = %(instrument)s
"""


def margin_read(
    account: Account, instrument: Instrument, rate: Decimal, side: str = PositionSide.BOTH
) -> tuple[AccountMode | None, MarginState | None]:
    """How the symbol is set up and what the account has left; None for what was never read.

    Parameters
    ----------
    rate : maintenance margin assumed, a share of the notional, of a contract whose brackets were never read.
    side : the position side an order is about.
    """
    parameters: dict[str, Any] = {
        "account": account.pk,
        "instrument": instrument.pk,
        "asset": instrument.quote_asset,
        "side": str(side),
    }
    with connection.cursor() as cursor:
        cursor.execute(_SQL, parameters)
        row = cursor.fetchone()
    amount, reserved, unrealized, held, margin, unpriced, leverage, isolated, brackets, differs = row
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
    assumed = int(rate * 1_000_000)
    state = MarginState(
        balance=_units(balance),
        available=_units(balance - margin - reserved),
        leverage=leverage or 1,
        brackets=_brackets(brackets, assumed),
        held=tuple(
            MarginHeld(-_units(-Decimal(notional)), short, _brackets(table, assumed), traded)
            for notional, short, traded, table in held or ()
        ),
    )
    return mode, state


@lru_cache(maxsize=1024)
def _brackets(table: str, assumed_ppm: int) -> tuple[MarginBracket, ...]:
    """The kernel's brackets from a stored table; one flat bracket where none was ever read."""
    rows = [[Decimal(number) for number in row] for row in json.loads(table)]
    # Rounded so that maintenance is never undercounted.
    read = tuple(MarginBracket(_units(cap), -_units(-share), _units(less)) for cap, share, less in rows)
    return read or flat_brackets(assumed_ppm)


def margin_terms_note(account: Account, mode: FuturesMode) -> int:
    """Keep leverage, margin type and brackets of every symbol as the venue has just told them. Returns how many."""
    moment = now()
    instruments = Instrument.objects.filter(venue=account.venue, market=Market.usdm, symbol__in=mode.leverage)
    rows = [
        MarginTerms(
            account=account,
            instrument_id=pk,
            leverage=max(1, mode.leverage[symbol]),
            isolated=bool(mode.isolated.get(symbol, False)),
            brackets=[
                [decimal_text(row.cap), decimal_text(row.rate), decimal_text(row.deducted)]
                for row in mode.brackets.get(symbol, ())
            ],
            seen_at=moment,
        )
        for pk, symbol in instruments.values_list("pk", "symbol")
    ]
    MarginTerms.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["account", "instrument"],
        update_fields=["leverage", "isolated", "brackets", "seen_at"],
    )
    return len(rows)


def _units(amount: Decimal) -> int:
    """Whole units of 1e-8, rounded down."""
    top, bottom = amount.as_integer_ratio()
    return top * UNITS // bottom
