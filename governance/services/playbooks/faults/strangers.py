"""Faults of our own books: somebody else trades on the account, or takes money out of it."""

from __future__ import annotations

from decimal import Decimal

from governance.adapters.testnet_stranger import Stranger
from governance.models import Playbook
from governance.services.playbooks.faults.fault import Fault, NotRehearsable
from trading.models import Account, Balance, Position, SymbolAllowance
from trading.selectors.marks import marks_read
from trading.selectors.portfolio import worth_by_account
from trading.selectors.positions import position_is_dust
from universe.models import Quote

_BEYOND = Decimal("1.1")
_PIECES = 20
"""A market order takes what the book has; the rest is bought again, at most so often."""
_SMALLEST = Decimal(150)
"""USDT: what is bought to be counted as a position, on any symbol of the paper exchange."""


def position(playbook: Playbook, fault: Fault) -> None:
    """Somebody buys until one position is a tenth over the limit."""
    wanted = Decimal(str(playbook.threshold)) * _BEYOND
    rows = [row for row in _allowed() if row.account.market == "spot"] or _allowed()
    for row in rows:
        free = _free(row.account)
        ask = _ask(row)
        if ask is None or free < wanted * Decimal("1.02"):
            continue
        _buy(fault, row, wanted)
        return
    raise NotRehearsable(f"no account has {wanted:,.0f} USDT free to buy a position over the limit with")


def open_trades(playbook: Playbook, fault: Fault) -> None:
    """Somebody opens small positions until there are as many as the limit says, and one more if there can be.

    A strategy may close one of those that were there before the second look.
    """
    marks = marks_read()
    held = {
        (row.account_id, row.instrument_id)
        for row in Position.objects.exclude(quantity=0).select_related("instrument")
        if not position_is_dust(row, marks.of(row.instrument_id))
    }
    missing = int(-(-playbook.threshold // 1)) - len(held)
    rows = [row for row in _allowed() if (row.account_id, row.instrument_id) not in held and _ask(row)]
    if len(rows) < missing:
        raise NotRehearsable(
            f"{len(held)} positions are open and {len(rows)} more can be: fewer than the limit of "
            f"{playbook.threshold:g}"
        )
    for row in rows[: max(0, missing) + 1]:
        _buy(fault, row, _SMALLEST)


def leverage(playbook: Playbook, fault: Fault) -> None:
    """Somebody takes money out of a futures account until it holds a tenth over the limit, in times its equity."""
    account = (
        Account.objects.filter(is_active=True, opened_at__isnull=False, venue__market="usdm")
        .select_related("venue")
        .order_by("pk")
        .first()
    )
    if account is None:
        raise NotRehearsable("there is no futures account; spot cannot hold more than it has")
    worth = worth_by_account(
        [account], Balance.objects.all(), Position.objects.select_related("instrument"), marks_read()
    )[account.pk]
    exposure = worth.exposure_gross
    if exposure < _SMALLEST:
        row = next((row for row in _allowed() if row.account_id == account.pk and _ask(row)), None)
        if row is None:
            raise NotRehearsable("the futures account may trade nothing")
        symbols, bought = {row.instrument.symbol}, _buy(fault, row, Decimal(500))
        exposure += bought
    else:
        held = Position.objects.filter(account=account).exclude(quantity=0)
        symbols = set(held.values_list("instrument__symbol", flat=True))
    # Margin for what is held stays in the account, so little of it that the limit can be passed.
    stranger, times = Stranger(account.name, "usdm"), Decimal(str(playbook.threshold)) * _BEYOND
    for symbol in sorted(symbols):
        fault.set_leverage(stranger, account.name, symbol, int(times * 4))
    out = worth.equity - exposure / times
    if out > 0:
        fault.transfer(account.name, "usdm", "USDT", -round(out, 2))


def _buy(fault: Fault, row: SymbolAllowance, notional: Decimal) -> Decimal:
    """Buy for so much, piece by piece where the book is thin; returns what was bought, USDT.

    Raises
    ------
    NotRehearsable : the market does not have so much.
    """
    stranger, instrument = Stranger(row.account.name, row.account.market), row.instrument
    domain, ask = instrument.to_domain(), _ask(row)
    assert ask is not None
    least = max(domain.floor_steps(_SMALLEST / ask), 1)
    left = max(domain.floor_steps(notional / ask), least)
    bought = Decimal(0)
    for _ in range(_PIECES):
        done, kept = stranger.trade(instrument.symbol, "BUY", domain.quantity(left))
        if not done:
            break
        fault.bought(stranger, row.account.name, instrument.symbol, domain.quantity(domain.floor_steps(kept)))
        bought += done * ask
        left -= domain.floor_steps(done)
        if left < least:
            return bought
    raise NotRehearsable(f"the market of {instrument.symbol} does not have {notional:,.0f} USDT to sell")


def _allowed() -> list[SymbolAllowance]:
    rows = SymbolAllowance.objects.filter(
        account__is_active=True, account__opened_at__isnull=False, instrument__status="TRADING"
    )
    return list(
        rows.select_related("account__venue", "instrument").order_by(
            "account__venue__market", "instrument__symbol"
        )
    )


def _ask(row: SymbolAllowance) -> Decimal | None:
    quote = Quote.objects.filter(instrument=row.instrument).first()
    return quote.ask if quote is not None else None


def _free(account: Account) -> Decimal:
    row = Balance.objects.filter(account=account, asset="USDT").first()
    return row.amount - row.reserved if row is not None else Decimal(0)
