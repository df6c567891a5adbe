"""The demo of a local paper exchange: people, accounts with keys, limits, and strategies that trade.

Everything here is created once and never changed again; what an operator changed stays changed.
"""

from __future__ import annotations

import json
import os
import secrets
import string
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.models import Role, User
from nautilus_site.common.services.tokens import token_create
from trading.domain.ports import FuturesMode
from trading.domain.values import Level, Market
from trading.models import Account, Credential, Strategy, StrategyInstance, SymbolAllowance
from trading.services.breakers import breakers_install
from trading.services.controls import limits_install, states_install
from trading.services.credentials import credential_store, sealing_keys_install
from universe.models import Instrument
from universe.services import venue_ensure

ACTOR = "demo"
ACCOUNT = "paper-spot"
FUTURES_ACCOUNT = "paper-usdm"
FUTURES_TRADED = frozenset({"BTCUSDT", "ETHUSDT"})
FUTURES_ALLOCATION = Decimal(3000)
START_USDT = "100000"
FUTURES_LEVERAGE = 3
MAKER_SYMBOL = "DOGEUSDT"
MAKER_ALLOCATION = Decimal(2500)
PEOPLE = {
    "admin": Role.ADMIN,
    "risk": Role.RISK_OFFICER,
    "risk2": Role.RISK_OFFICER,
    "trader": Role.TRADER,
    "model_owner": Role.MODEL_OWNER,
    "viewer": Role.VIEWER,
}
_ALPHABET = string.ascii_letters + string.digits


class FuturesSettings(Protocol):
    """The part of a USD-M venue that setting an account up needs."""

    def mode(self) -> FuturesMode: ...

    def set_hedge(self, hedge: bool) -> None: ...

    def set_leverage(self, symbol: str, leverage: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a paper account for one purpose."""

    purpose: str
    api_key: str
    api_secret: str

    @property
    def permissions(self) -> dict[str, bool]:
        """Only what places or cancels orders may trade; nothing may withdraw."""
        trades = self.purpose in (Credential.Purpose.EXECUTOR, Credential.Purpose.WATCHDOG)
        return {"read": True, "trade": trades, "withdraw": False, "ip_restricted": True}


def demo_install() -> bool:
    """Create what is missing of the demo. True when it was created now."""
    home = Path(settings.NAUTILUS_HOME)
    sealing_keys_install()
    known = set(Account.objects.values_list("name", flat=True))
    with transaction.atomic():
        people = _people()
        entries = [
            _account(name, market)
            for name, market in ((ACCOUNT, Market.spot), (FUTURES_ACCOUNT, Market.usdm))
            if name not in known
        ]
        limits_install(actor=ACTOR)
        # A demo that trades is an explicit decision; every other environment starts halted.
        states_install(level=Level.ACTIVE, reason="the demo trades on paper from the start", actor=ACTOR)
    if people:
        _write_private(
            home / "credentials.json",
            {"users": {**_known_people(home), **people}, "url": f"http://127.0.0.1:{settings.PORT}"},
        )
    if entries:
        path = home / "testnet" / "accounts.json"
        before = json.loads(path.read_text()) if path.is_file() else []
        _write_private(path, [*before, *entries])
    return ACCOUNT not in known


def demo_strategies_install() -> int:
    """Put the demo's strategies on the tradable symbols, once these are known. Returns the new instances."""
    account = Account.objects.filter(name=ACCOUNT).first()
    if account is None or StrategyInstance.objects.filter(account=account).exists():
        return 0
    instruments = list(Instrument.objects.filter(venue=account.venue, status="TRADING").order_by("symbol"))
    if not instruments:
        return 0
    moment = now()
    with transaction.atomic():
        strategy, _ = Strategy.objects.get_or_create(
            name="moving_average",
            defaults={
                "kind": "moving_average",
                "interval": demo_interval(),
                "parameters": {"fast": 5, "slow": 15},
                "is_enabled": True,
                "description": "Long while the mean of the last 5 closes is above the mean of the last 15.",
                "updated_at": moment,
            },
        )
        # Fifteen percent of the account in all, so that every symbol fits under the strategy's cap at once.
        share = (Decimal(START_USDT) * Decimal("0.15") / len(instruments)).quantize(Decimal(1))
        for instrument in instruments:
            SymbolAllowance.objects.get_or_create(
                account=account, instrument=instrument, defaults={"added_at": moment}
            )
            if instrument.symbol == MAKER_SYMBOL and not settings.REPLAY:
                _market_maker(account, instrument)
                continue
            StrategyInstance.objects.create(
                strategy=strategy,
                account=account,
                instrument=instrument,
                weight=Decimal(1),
                allocation=min(share, Decimal(4000)),
            )
    return len(instruments)


def _market_maker(account: Account, instrument: Instrument) -> None:
    """Quotes on a symbol of its own; it first buys half of the inventory it may hold.

    Its fee is not priced in, and it loses about that: quotes that earn ten basis points are never met here, and a
    demo shows quotes that are.
    """
    strategy, _ = Strategy.objects.get_or_create(
        name="market_maker",
        defaults={
            "kind": "market_maker",
            "interval": demo_interval(),
            "parameters": {
                "lot": 700.0,
                "tick_size": float(instrument.to_domain().tick_size),
                "inventory_limit": 6,
                "inventory_base": 6.0,
                "gamma": 0.05,
                "sigma_bps": 1.5,
                "decay": 0.12,
                "maker_fee_bps": 0.0,
                "requote_ticks": 3,
                "stale_s": 120.0,
                "volatility_window_s": 120.0,
                "pause_s": 60.0,
            },
            "is_enabled": True,
            "description": "Quotes around the middle, leaning against its inventory; the fee is not priced in.",
            "updated_at": now(),
        },
    )
    StrategyInstance.objects.create(
        strategy=strategy,
        account=account,
        instrument=instrument,
        weight=Decimal(1),
        allocation=MAKER_ALLOCATION,
    )


def demo_futures_install() -> int:
    """Allow the demo's futures account the tradable contracts and put a strategy on some, once these are known.

    Returns how many contracts are new.
    """
    account = Account.objects.filter(name=FUTURES_ACCOUNT).first()
    if account is None or SymbolAllowance.objects.filter(account=account).exists():
        return 0
    moment = now()
    allowed = [
        SymbolAllowance(account=account, instrument=instrument, added_at=moment)
        for instrument in Instrument.objects.filter(venue=account.venue, status="TRADING").order_by("symbol")
    ]
    SymbolAllowance.objects.bulk_create(allowed, ignore_conflicts=True)
    _futures_strategy(account, [row.instrument for row in allowed if row.instrument.symbol in FUTURES_TRADED])
    return len(allowed)


def _futures_strategy(account: Account, instruments: list[Instrument]) -> None:
    """Long and short with a stop at the venue, switched off: enabling it is a walk through the two-person flow.

    Its windows are short enough that a few minutes show it at work.
    """
    strategy, _ = Strategy.objects.get_or_create(
        name="trend_follow",
        defaults={
            "kind": "trend_follow",
            "interval": demo_interval(),
            "parameters": {
                "entry": 20,
                "exit": 10,
                "momentum_short": 10,
                "momentum_medium": 30,
                "momentum_long": 60,
                "allow_short": True,
            },
            "is_enabled": False,
            "description": "Follows breakouts of the last 20 bars, long and short, behind a trailing stop of two ATR.",
            "updated_at": now(),
        },
    )
    for instrument in instruments:
        StrategyInstance.objects.create(
            strategy=strategy,
            account=account,
            instrument=instrument,
            weight=Decimal(1),
            allocation=FUTURES_ALLOCATION,
        )


def demo_futures_settings(venue: FuturesSettings) -> list[str]:
    """Set one-way mode and a low leverage where the venue has something else. Returns the symbols changed.

    Raises
    ------
    VenueUnavailable, VenueRejected : as the venue; safe to repeat.
    """
    account = Account.objects.filter(name=FUTURES_ACCOUNT).first()
    if account is None:
        return []
    mode = venue.mode()
    if mode.hedge != account.hedge_mode:
        venue.set_hedge(account.hedge_mode)
    allowed = SymbolAllowance.objects.filter(account=account).values_list("instrument__symbol", flat=True)
    changed = [symbol for symbol in allowed if mode.leverage.get(symbol) != FUTURES_LEVERAGE]
    for symbol in changed:
        venue.set_leverage(symbol, FUTURES_LEVERAGE)
    return changed


def demo_interval() -> str:
    """The bars the demo decides on: one minute, or in a replay the interval of the replayed candles."""
    if not settings.REPLAY:
        return "1m"
    names = sorted(path.name for path in Path(settings.REPLAY).glob("*_*.csv*"))
    return names[0].partition(".")[0].rpartition("_")[2] if names else "1m"


def _people() -> dict[str, dict[str, str]]:
    created: dict[str, dict[str, str]] = {}
    for name, role in PEOPLE.items():
        if User.objects.filter(username=name).exists():
            continue
        password = "".join(secrets.choice(_ALPHABET) for _ in range(24))
        user = User.objects.create_user(
            username=name, password=password, role=role, is_staff=role is not Role.VIEWER
        )
        created[name] = {"password": password, "token": token_create(user=user, name="demo", actor=ACTOR)}
    return created


def _account(name: str, market: Market) -> dict[str, Any]:
    """Create an account and its keys here; returns what the paper exchange must know of it."""
    venue = venue_ensure(market=market.value, environment=settings.BINANCE_ENV)
    account = Account.objects.create(name=name, venue=venue)
    breakers_install(venue=venue.name, actor=ACTOR)
    keys = [Key(purpose.value, _random_key(), _random_key()) for purpose in Credential.Purpose]
    for key in keys:
        credential_store(
            account=account, purpose=key.purpose, api_key=key.api_key, api_secret=key.api_secret, actor=ACTOR
        )
    funds = "balances" if market is Market.spot else "futures_balances"
    return {
        "name": name,
        funds: {"USDT": START_USDT},
        "keys": [
            {"api_key": key.api_key, "api_secret": key.api_secret, "permissions": key.permissions}
            for key in keys
        ],
    }


def _random_key() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(64))


def _known_people(home: Path) -> dict[str, Any]:
    path = home / "credentials.json"
    return json.loads(path.read_text())["users"] if path.is_file() else {}


def _write_private(path: Path, content: Any) -> None:
    """Write JSON that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
