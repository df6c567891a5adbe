"""Time-based one-time passwords (RFC 6238), as every authenticator app computes them: SHA-1, 30 s, six digits."""

from __future__ import annotations

import base64
import hmac
import secrets

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP_S = 30
DIGITS = 6
WINDOW = 1
"""Steps a clock may be off, and a person slow, in either direction."""
SECRET_BYTES = 20
"""RFC 4226 section 4 asks for 128 bits and recommends 160."""
ISSUER = "Nautilus HMM"


def new_secret() -> bytes:
    """A random secret to share with an app."""
    return secrets.token_bytes(SECRET_BYTES)


def step_at(moment_s: float) -> int:
    """The number of the time step that epoch seconds fall into."""
    return int(moment_s // STEP_S)


def code_at(secret: bytes, step: int, *, digits: int = DIGITS) -> str:
    """The code of a time step."""
    return _totp(secret, digits).generate(step * STEP_S).decode()


def step_of(secret: bytes, code: str, *, now_step: int) -> int | None:
    """The step within the window whose code this is, the newest first; None for a wrong code.

    Every step is compared, and each in constant time, so that the answer's time tells nothing.
    """
    steps = range(now_step + WINDOW, now_step - WINDOW - 1, -1)
    right = [step for step in steps if hmac.compare_digest(code_at(secret, step).encode(), code.encode())]
    return right[0] if right else None


def typed(text: str) -> str:
    """A code as a person gives it, without the space apps show in its middle."""
    return "".join(text.split())


def secret_text(secret: bytes) -> str:
    """The secret in base32, in groups of four, for those who type it."""
    text = base64.b32encode(secret).decode()
    return " ".join(text[place : place + 4] for place in range(0, len(text), 4))


def address(secret: bytes, account: str) -> str:
    """The `otpauth://` address an app reads from the QR code."""
    return _totp(secret, DIGITS).get_provisioning_uri(account, ISSUER)


def qr_svg(secret: bytes, account: str) -> str:
    """The address as a QR code: an inline SVG without any style, black on white in either colour scheme."""
    code = segno.make(address(secret, account), error="m", micro=False)
    drawn = code.svg_inline(
        scale=5, border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None, omitsize=True
    )
    return str(drawn)


def _totp(secret: bytes, digits: int) -> TOTP:
    return TOTP(secret, digits, SHA1(), STEP_S)  # noqa: S303  RFC 6238's own default, the one all apps know
