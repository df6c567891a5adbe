"""Sealing what is shared with an app, so that the database alone does not give it.

The key comes from SECRET_KEY, which is not in the database. The person is part of what is sealed: a secret copied onto
somebody else's row opens nothing.
"""

from __future__ import annotations

import secrets
from functools import cache

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

log = structlog.get_logger(__name__)

LABEL = b"nautilus: secrets of second factors"
NONCE_BYTES = 12


def secret_seal(secret: bytes, *, user_id: int) -> bytes:
    """Nonce, ciphertext and tag."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + _cipher(settings.SECRET_KEY).encrypt(nonce, secret, _person(user_id))


def secret_open(sealed: bytes, *, user_id: int) -> bytes | None:
    """The secret; None where it was sealed with another SECRET_KEY or for somebody else."""
    try:
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        return _cipher(settings.SECRET_KEY).decrypt(nonce, rest, _person(user_id))
    except InvalidTag:
        log.warning("second_factor_unreadable", user_id=user_id)
        return None


@cache
def _cipher(secret_key: str) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=LABEL).derive(secret_key.encode())
    return AESGCM(derived)


def _person(user_id: int) -> bytes:
    return f"user:{user_id}".encode()
