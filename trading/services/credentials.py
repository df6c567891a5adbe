"""Exchange keys, sealed to a public key. Whoever holds only the public key can store one and never read it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from nacl.encoding import Base64Encoder
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from nautilus_site.common.processes import process_kind
from nautilus_site.common.services.audit import audit_record
from trading.models import Account, Credential

SEALING_KEY = "sealing.pub"
OPENING_KEY = "opening.key"
_SEALED = """
SELECT api_key, sealed_secret FROM trading_credential WHERE account_id = %s AND purpose = %s AND revoked_at IS NULL
"""
AS_NEW: Mapping[str, Any] = {
    "revoked_at": None,
    "revoked_by": "",
    "test_asked_at": None,
    "tested_at": None,
    "test_flags": {},
    "test_result": "",
}
"""What a key that takes the place of another begins with."""


def _keys_folder() -> Path:
    return Path(settings.NAUTILUS_HOME) / "keys"


def sealing_keys_install() -> None:
    """Make the key pair of this home once: the public half for everybody, the private one for workers."""
    folder = _keys_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    opening, sealing = folder / OPENING_KEY, folder / SEALING_KEY
    if not opening.exists():
        private = PrivateKey.generate()
        opening.touch(mode=0o600)
        opening.write_bytes(private.encode(Base64Encoder))
        sealing.write_bytes(private.public_key.encode(Base64Encoder))


def secret_seal(text: str) -> bytes:
    """Close a secret with the public key of this home; only a worker can open it again."""
    box = SealedBox(PublicKey((_keys_folder() / SEALING_KEY).read_bytes(), Base64Encoder))
    return bytes(box.encrypt(text.encode()))


def secret_open(sealed: bytes) -> str:
    """Open what was sealed in this home. Refused in the web process, whatever files it can read.

    Raises
    ------
    ApplicationError : NO_CREDENTIAL, the web process asks, or it was sealed with another home's key.
    """
    if process_kind() == "web":
        raise ApplicationError("NO_CREDENTIAL", "the web process may not open secrets", status=403)
    try:
        return SealedBox(_opening_key(str(_keys_folder() / OPENING_KEY))).decrypt(sealed).decode()
    except CryptoError:
        raise ApplicationError("NO_CREDENTIAL", "it was sealed with another key") from None


@transaction.atomic
def credential_store(
    *, account: Account, purpose: str, api_key: str, api_secret: str, actor: User | str
) -> Credential:
    """Seal and store a key, replacing the one for the same purpose."""
    credential, _ = Credential.objects.update_or_create(
        account=account,
        purpose=purpose,
        defaults={
            "api_key": api_key,
            "sealed_secret": secret_seal(api_secret),
            "last_four": api_key[-4:],
            "created_at": now(),
            **AS_NEW,
        },
    )
    audit_record(
        action="credential.stored",
        target=f"{account.name}:{purpose}",
        actor=actor,
        after={"last_four": api_key[-4:]},
    )
    return credential


def credential_sealed(*, account: Account, purpose: str) -> tuple[str, bytes]:
    """The key and its secret as it is stored. Refused in the web process, whatever files it can read.

    Raises
    ------
    ApplicationError : NO_CREDENTIAL.
    """
    if process_kind() == "web":
        raise ApplicationError("NO_CREDENTIAL", "the web process may not open exchange keys", status=403)
    with connection.cursor() as cursor:
        cursor.execute(_SEALED, [account.pk, str(purpose)])
        row = cursor.fetchone()
    if row is None:
        raise ApplicationError("NO_CREDENTIAL", f"account {account.name} has no key for {purpose} in use")
    return str(row[0]), bytes(row[1])


def credential_stands(*, account: Account, purpose: str, api_key: str) -> bool:
    """Whether this is the key in use: for connections that outlive the moment they were opened with it."""
    rows = Credential.objects.filter(account=account, purpose=purpose, api_key=api_key, revoked_at=None)
    return rows.exists()


def credential_open(*, account: Account, purpose: str) -> tuple[str, str]:
    """The key and its secret. Refused in the web process, whatever files it can read.

    Raises
    ------
    ApplicationError : NO_CREDENTIAL, or the secret cannot be opened with this home's key.
    """
    api_key, sealed = credential_sealed(account=account, purpose=purpose)
    try:
        secret = SealedBox(_opening_key(str(_keys_folder() / OPENING_KEY))).decrypt(sealed)
    except CryptoError:
        raise ApplicationError(
            "NO_CREDENTIAL", f"the {purpose} key of {account.name} was sealed elsewhere"
        ) from None
    return api_key, secret.decode()


@lru_cache(maxsize=4)
def _opening_key(path: str) -> PrivateKey:
    return PrivateKey(Path(path).read_bytes(), Base64Encoder)
