"""Limits folded once per content: the version is a digest of the rows themselves, read with every order.

Whoever judges an order reads the digest in its own transaction and behind its own locks. A digest that is known
stands for exactly the rows that were folded under it, so what is kept here can be old, never stale: any change of any
row, by whatever means, is another digest.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from trading.domain.risk import RiskLimits
from trading.domain.values import to_units
from trading.services.controls.limits_in_force import LimitsInForce, limits_of_rows

_KEPT: Final = 512
_ROW: Final = (
    "concat_ws('|', name, scope, value::text, tighter,"
    " coalesce(in_force_until::text, '-'), policy_version::text)"
)
LIMITS_DIGEST: Final = f"""
(SELECT md5(coalesce(string_agg({_ROW}, E'\\n' ORDER BY name, scope), ''))
   FROM trading_risklimit WHERE scope = ANY(%(limit_scopes)s::text[]))
"""  # noqa: S608  only our own constants are put in
_ROWS: Final = f"""
WITH found AS MATERIALIZED (
    SELECT name, scope, value, tighter, in_force_until, policy_version
      FROM trading_risklimit WHERE scope = ANY(%(limit_scopes)s::text[])
)
SELECT name, scope, value, tighter, in_force_until, policy_version,
       (SELECT md5(string_agg({_ROW}, E'\\n' ORDER BY name, scope)) FROM found)
  FROM found ORDER BY name, scope
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class KnownLimits:
    """The limits of some scopes, folded, and as the kernel takes them."""

    in_force: LimitsInForce
    kernel: RiskLimits


_known: OrderedDict[str, KnownLimits] = OrderedDict()


def limits_known(digest: str, scopes: list[str]) -> KnownLimits:
    """The limits of a digest that was just read; where it is a new one they are read again, with their own digest.

    Parameters
    ----------
    digest : from `LIMITS_DIGEST`, read in the caller's transaction over the same scopes.

    Raises
    ------
    ApplicationError : NOT_READY, a limit has no row.
    """
    found = _known.get(digest)
    if found is not None:
        return found
    parameters: dict[str, Any] = {"limit_scopes": scopes}
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, parameters)
        rows = cursor.fetchall()
    in_force = limits_of_rows(row[:6] for row in rows)
    found = KnownLimits(in_force, risk_limits(in_force))
    _known[rows[0][6]] = found
    while len(_known) > _KEPT:
        _known.popitem(last=False)
    return found


def limits_read(scopes: list[str]) -> KnownLimits:
    """The limits of some scopes as they are stored now.

    Raises
    ------
    ApplicationError : NOT_READY, a limit has no row.
    """
    parameters: dict[str, Any] = {"limit_scopes": scopes}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {LIMITS_DIGEST}", parameters)
        return limits_known(cursor.fetchone()[0], scopes)


def risk_limits(limits: LimitsInForce) -> RiskLimits:
    """The kernel's limits from the rows in force."""
    values = limits.values
    second, million = 1_000_000_000, 1_000_000
    return RiskLimits(
        min_notional=to_units(values["min_notional"]),
        max_notional=to_units(values["max_notional"]),
        max_quantity=to_units(values["max_quantity"]),
        soft_notional=to_units(values["soft_notional"]),
        exposure_symbol=to_units(values["exposure_symbol"]),
        exposure_strategy=to_units(values["exposure_strategy"]),
        exposure_strategy_symbol=to_units(values["exposure_strategy_symbol"]),
        exposure_group=to_units(values["exposure_group"]),
        exposure_account=to_units(values["exposure_account"]),
        exposure_global=to_units(values["exposure_global"]),
        net_account=to_units(values["exposure_net_account"]),
        net_global=to_units(values["exposure_net_global"]),
        orders_per_minute=int(values["orders_per_minute"]),
        orders_per_minute_strategy=int(values["orders_per_minute_strategy"]),
        max_open_orders=int(values["max_open_orders"]),
        max_open_orders_strategy=int(values["max_open_orders_strategy"]),
        collar_bps=int(values["price_collar"]),
        slippage_bps=int(values["market_slippage"]),
        disagreement_bps=int(values["price_disagreement"]),
        quote_age_max_ns=int(values["price_max_age"] * second),
        decision_ttl_ns=int(values["decision_ttl"] * second),
        reconcile_age_max_ns=int(values["reconcile_max_age"] * second),
        unknown_age_max_ns=int(values["unknown_max_age"] * second),
        stream_age_max_ns=int(values["stream_max_age"] * second),
        clock_offset_max_ns=int(values["clock_max_offset"] * second),
        clock_age_max_ns=int(values["clock_max_age"] * second),
        equity_age_max_ns=int(values["equity_max_age"] * second),
        near_window_ns=int(values["near_duplicate_window"] * second),
        loss_cooldown_ns=int(values["loss_cooldown"] * second),
        leverage_max=int(values["leverage_max"]),
        margin_ratio_max=int(values["margin_max_ratio"] * million),
        liquidation_distance_min=int(values["liquidation_min_distance"] * million),
        weight_headroom=int(values["weight_headroom"] * million),
        repeated_executions=int(values["repeated_executions"]),
        sends_per_decision=int(values["max_sends_per_decision"]),
    )
