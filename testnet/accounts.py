"""Accounts, their keys and balances."""

from __future__ import annotations

import hashlib
import secrets
import string
from dataclasses import dataclass, field
from typing import Any

from testnet.errors import ApiError, InvariantViolation
from testnet.values import SCALE, units_text

MARKET = "market"
FEES = "fees"
INSURANCE = "insurance"
VENUE_ACCOUNTS = (MARKET, FEES, INSURANCE)
DEFAULT_RATE = SCALE // 1000  # 0.1 %
KEY_LENGTH = 64
_KEY_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a key may do; reading is always allowed to a valid key."""

    read: bool = True
    trade: bool = True
    futures: bool = True
    withdraw: bool = False
    ip_restricted: bool = True

    @classmethod
    def parse(cls, raw: object) -> Permissions:
        """Read a JSON object; absent members keep their defaults, others are refused."""
        if raw is None:
            return cls()
        names = ("read", "trade", "futures", "withdraw", "ip_restricted")
        if not isinstance(raw, dict) or not all(k in names and isinstance(v, bool) for k, v in raw.items()):
            raise ApiError(-1100, f"permissions: expected booleans named {', '.join(names)}")
        return cls(**raw)

    def to_json(self) -> dict[str, bool]:
        return {
            "read": self.read,
            "trade": self.trade,
            "futures": self.futures,
            "withdraw": self.withdraw,
            "ip_restricted": self.ip_restricted,
        }


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A credential; `secret` is the HMAC secret, or the public key as PEM text for ED25519."""

    api_key: str
    account_id: str
    kind: str
    secret: str = field(repr=False)
    permissions: Permissions
    created_ms: int


@dataclass(slots=True)
class Balance:
    """Free and locked amount of one asset, in 1e-8 units."""

    free: int = 0
    locked: int = 0


@dataclass(slots=True)
class Account:
    """One owner of balances; rates are fractions in 1e-8 units."""

    account_id: str
    name: str
    uid: int
    maker_rate: int = DEFAULT_RATE
    taker_rate: int = DEFAULT_RATE
    updated_ms: int = 0
    # Pay commissions in BNB at a discount where there is enough of it.
    bnb_burn: bool = False
    balances: dict[str, Balance] = field(default_factory=dict)

    def balance(self, asset: str) -> Balance:
        """The balance of an asset, created at zero."""
        found = self.balances.get(asset)
        if found is None:
            found = self.balances[asset] = Balance()
        return found

    def credit(self, asset: str, units: int) -> None:
        """Add to (or, negative, take from) the free balance.

        Raises
        ------
        InvariantViolation : the balance would become negative; callers check first.
        """
        balance = self.balance(asset)
        if balance.free + units < 0:
            raise InvariantViolation(f"{self.account_id}: {asset} would fall to {balance.free + units}")
        balance.free += units

    def lock(self, asset: str, units: int) -> None:
        """Move free balance to locked."""
        self.credit(asset, -units)
        self.balance(asset).locked += units

    def unlock(self, asset: str, units: int) -> None:
        """Move locked balance back to free."""
        self.spend_locked(asset, units)
        self.balance(asset).free += units

    def spend_locked(self, asset: str, units: int) -> None:
        """Take from the locked balance."""
        balance = self.balance(asset)
        if units > balance.locked:
            raise InvariantViolation(f"{self.account_id}: {asset} lock {balance.locked} is below {units}")
        balance.locked -= units


class Accounts:
    """Every account and key, the background market and the venue's own (fees, insurance) included."""

    def __init__(self) -> None:
        self.by_id: dict[str, Account] = {}
        self.keys: dict[str, ApiKey] = {}
        self.market = self.add(MARKET, MARKET)
        self.fees = self.add(FEES, FEES)
        self.insurance = self.add(INSURANCE, INSURANCE)

    def add(self, account_id: str, name: str) -> Account:
        """Create an account.

        Raises
        ------
        ApiError : the id is taken.
        """
        if account_id in self.by_id:
            raise ApiError(-1100, f"account '{account_id}' exists")
        uid = int.from_bytes(hashlib.sha256(account_id.encode()).digest()[:4], "big")
        account = self.by_id[account_id] = Account(account_id, name, uid)
        return account

    def named(self, name: str) -> Account | None:
        """The account of this name, if any."""
        return next((account for account in self.by_id.values() if account.name == name), None)

    def get(self, account_id: str) -> Account:
        """The account of this id; ApiError (404) when there is none."""
        if account_id not in self.by_id:
            raise ApiError(-1100, f"no account '{account_id}'", 404)
        return self.by_id[account_id]

    def keys_of(self, account_id: str) -> list[ApiKey]:
        """All keys of an account."""
        return [key for key in self.keys.values() if key.account_id == account_id]

    def next_id(self) -> str:
        """An unused account id."""
        number = len(self.by_id) - len(VENUE_ACCOUNTS) + 1
        while f"acct-{number}" in self.by_id:
            number += 1
        return f"acct-{number}"

    def totals(self) -> dict[str, int]:
        """Free plus locked over all accounts, per asset."""
        totals: dict[str, int] = {}
        for account in self.by_id.values():
            for asset, balance in account.balances.items():
                totals[asset] = totals.get(asset, 0) + balance.free + balance.locked
        return totals


def random_key() -> str:
    """64 random letters and digits, the shape of the venue's keys and secrets."""
    return "".join(secrets.choice(_KEY_ALPHABET) for _ in range(KEY_LENGTH))


def is_key_shaped(text: str) -> bool:
    """True for 64 ASCII letters and digits."""
    return len(text) == KEY_LENGTH and text.isascii() and text.isalnum()


def balances_json(account: Account, *, omit_zero: bool, zero: bool = False) -> list[dict[str, Any]]:
    """Balances as the account endpoint lists them; `zero` shows every one as empty (a fault)."""
    rows = []
    for asset in sorted(account.balances):
        balance = account.balances[asset]
        free, locked = (0, 0) if zero else (balance.free, balance.locked)
        if omit_zero and not free and not locked:
            continue
        rows.append({"asset": asset, "free": units_text(free), "locked": units_text(locked)})
    return rows
