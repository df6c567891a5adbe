"""Accounts described in JSON: by the control API, or in a file read at start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from testnet.accounts import Account, ApiKey, Permissions, is_key_shaped
from testnet.api.security import load_public_key
from testnet.errors import ApiError
from testnet.exchange import Exchange
from testnet.values import SCALE, MalformedDecimal, TooPrecise, parse_signed_units, parse_units

_ACCOUNT_MEMBERS = frozenset(
    {
        "name",
        "balances",
        "futures_balances",
        "keys",
        "key_type",
        "public_key",
        "permissions",
        "maker_commission",
        "taker_commission",
        "futures_maker_commission",
        "futures_taker_commission",
        "bnb_burn",
    }
)
_KEY_MEMBERS = frozenset({"api_key", "api_secret", "permissions", "key_type", "public_key"})
MAX_ASSET = 20


def read_amounts(raw: object, name: str) -> dict[str, int]:
    """`{"USDT": "10000"}` as 1e-8 units."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ApiError(-1100, f"{name}: expected an object of asset to amount")
    return {_asset(asset): read_amount(value, f"{name}.{asset}") for asset, value in raw.items()}


def read_amount(value: object, name: str, *, signed: bool = False) -> int:
    """A decimal as text (or an integer) in 1e-8 units."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise ApiError(-1100, f"{name}: expected a decimal as text")
    try:
        return parse_signed_units(text) if signed else parse_units(text)
    except (MalformedDecimal, TooPrecise):
        raise ApiError(-1100, f"{name}: expected a plain decimal with at most 8 places") from None


def _asset(asset: object) -> str:
    if not isinstance(asset, str) or not asset.isalnum() or not asset.isupper() or len(asset) > MAX_ASSET:
        raise ApiError(-1100, f"expected an asset in capital letters, was {asset!r}")
    return asset


def add_key(exchange: Exchange, account: Account, raw: object) -> ApiKey:
    """Create a key from `{"api_key", "api_secret", "permissions", "key_type", "public_key"}`."""
    if not isinstance(raw, dict) or set(raw) - _KEY_MEMBERS:
        raise ApiError(-1100, f"key: expected an object with members {', '.join(sorted(_KEY_MEMBERS))}")
    kind = raw.get("key_type", "HMAC")
    if kind not in ("HMAC", "ED25519", "RSA"):
        raise ApiError(-1100, "key_type: expected HMAC, ED25519 or RSA")
    secret = raw.get("api_secret")
    for name in ("api_key", "api_secret"):
        value = raw.get(name)
        if value is not None and not (isinstance(value, str) and is_key_shaped(value)):
            raise ApiError(-1100, f"{name}: expected 64 letters and digits")
    if kind != "HMAC":
        public = raw.get("public_key")
        if not isinstance(public, str):
            raise ApiError(-1100, "public_key: expected a public key in PEM form")
        load_public_key(kind, public)
        secret = public
    return exchange.create_key(
        account,
        Permissions.parse(raw.get("permissions")),
        kind=kind,
        api_key=raw.get("api_key"),
        secret=secret,
    )


def create_account(exchange: Exchange, raw: object, name: str | None = None) -> tuple[Account, list[ApiKey]]:
    """Create an account with balances and keys; one key is drawn when none is described."""
    if not isinstance(raw, dict) or set(raw) - _ACCOUNT_MEMBERS:
        raise ApiError(
            -1100, f"account: expected an object with members {', '.join(sorted(_ACCOUNT_MEMBERS))}"
        )
    balances = read_amounts(raw.get("balances"), "balances")
    futures = read_amounts(raw.get("futures_balances"), "futures_balances")
    rates = [_rate(raw, "maker_commission"), _rate(raw, "taker_commission")]
    futures_rates = [_rate(raw, "futures_maker_commission"), _rate(raw, "futures_taker_commission")]
    burn = raw.get("bnb_burn", False)
    if not isinstance(burn, bool):
        raise ApiError(-1100, "bnb_burn: expected true or false")
    label = name or str(raw.get("name") or exchange.accounts.next_id())
    # The whole description is checked before anything is created.
    keys = raw.get("keys")
    if keys is None:
        keys = [{k: raw[k] for k in ("permissions", "key_type", "public_key") if k in raw}]
    if not isinstance(keys, list):
        raise ApiError(-1100, "keys: expected a list")
    account = exchange.create_account(label, account_id=name, maker_rate=rates[0], taker_rate=rates[1])
    for asset, units in balances.items():
        if units:
            exchange.transfer(account, asset, units)
    for asset, units in futures.items():
        if units:
            exchange.usdm_market.transfer(account, asset, units)
    if futures_rates != [None, None]:
        exchange.usdm_market.settings.set_rates(account.account_id, *futures_rates)
    if burn:
        exchange.spot_market.set_bnb_burn(account, burn=True)
    return account, [add_key(exchange, account, key) for key in keys]


def _rate(raw: dict[str, Any], name: str) -> int | None:
    if raw.get(name) is None:
        return None
    rate = read_amount(raw[name], name)
    if rate > SCALE // 10:
        raise ApiError(-1100, f"{name}: expected a fraction of at most 0.1")
    return rate


def load_accounts_file(exchange: Exchange, path: Path) -> int:
    """Create what the file names and does not exist yet; return how many accounts were created.

    An account is found again by its name (which is its id too), a key by its text; balances are given
    only once, at creation.

    Raises
    ------
    ApiError, OSError, ValueError : the file cannot be read or describes something impossible.
    """
    rows = json.loads(path.read_text())
    if not isinstance(rows, list):
        raise ApiError(-1100, f"{path.name}: expected a list of accounts")
    created = 0
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not row["name"]:
            raise ApiError(-1100, f"{path.name}: every account needs a name")
        account = exchange.accounts.named(row["name"])
        if account is None:
            create_account(exchange, {"keys": [], **row}, row["name"])
            created += 1
            continue
        for key in row.get("keys") or []:
            if isinstance(key, dict) and key.get("api_key") in exchange.accounts.keys:
                continue
            add_key(exchange, account, key)
    exchange.journal.flush()
    return created
