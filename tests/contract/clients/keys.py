"""Accounts whose key is half of an Ed25519 pair; the private half never leaves the client."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from .exchange import Account, PaperExchange


def ed25519_account(exchange: PaperExchange, folder: Path) -> tuple[Account, Path]:
    """An account registered with a fresh public key, and the PEM file of the private one."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    file = folder / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return exchange.open_account(key_type="ED25519", public_key=public), file
