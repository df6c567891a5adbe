"""Who is asking: keys, signatures and timing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from functools import lru_cache
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from testnet.accounts import Accounts, ApiKey, is_key_shaped
from testnet.api.params import Params
from testnet.errors import ApiError, bad_signature, key_format, key_rejected, mandatory

_SIGNATURE = re.compile(r"(^|&)signature=([^&]*)")
AHEAD_MS = 1_000
MIN_RSA_BITS, MAX_RSA_BITS = 2_048, 4_096


def split_signature(raw: str) -> tuple[str, str | None]:
    """Remove `signature=...` from raw text exactly as it was sent; return the rest and the value."""
    match = _SIGNATURE.search(raw)
    if match is None:
        return raw, None
    rest = raw[: match.start()] + raw[match.end() :]
    if match.start() == 0 and rest.startswith("&"):
        rest = rest[1:]
    return rest, match.group(2)


def check_timing(params: Params, server_ms: int) -> None:
    """Refuse a request from outside its receive window, by wall time.

    Raises
    ------
    ApiError : -1102 without timestamp, -1131 for a window above 60 s, -1021 otherwise.
    """
    window = params.recv_window_ms()
    stamp = params.time_ms("timestamp")
    if stamp is None:
        raise mandatory("timestamp")
    if stamp >= server_ms + AHEAD_MS:
        raise ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if server_ms - stamp > window:
        raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def find_key(accounts: Accounts, sent: str | None) -> ApiKey:
    """The key named in a request; -2014 for a malformed one, -2015 for an unknown one."""
    if not sent or not is_key_shaped(sent):
        raise key_format()
    key = accounts.keys.get(sent)
    if key is None:
        raise key_rejected()
    return key


def check_signature(key: ApiKey, payload: str, signature: str | None) -> None:
    """Verify a signature over the raw payload; -1102 when absent, -1022 when wrong."""
    if not signature:
        raise mandatory("signature")
    if key.kind != "HMAC":
        _check_asymmetric(key, payload, unquote(signature))
        return
    expected = hmac.new(key.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.lower().encode()):
        raise bad_signature()


def _check_asymmetric(key: ApiKey, payload: str, signature: str) -> None:
    public = load_public_key(key.kind, key.secret)
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(public, RSAPublicKey):
            public.verify(raw, payload.encode(), PKCS1v15(), SHA256())
        else:
            public.verify(raw, payload.encode())
    except (InvalidSignature, binascii.Error, ValueError):
        raise bad_signature() from None


@lru_cache(maxsize=1_024)
def load_public_key(kind: str, pem: str) -> Ed25519PublicKey | RSAPublicKey:
    """Read a PEM public key; ApiError -1100 when it is not of this kind (ED25519 or RSA)."""
    wanted, label = (RSAPublicKey, "RSA") if kind == "RSA" else (Ed25519PublicKey, "Ed25519")
    refusal = ApiError(-1100, f"public_key: expected an {label} public key in PEM form")
    try:
        public = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise refusal from None
    if not isinstance(public, wanted):
        raise refusal
    if isinstance(public, RSAPublicKey) and not MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS:
        raise ApiError(-1100, f"public_key: expected {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
    return public
