"""Codes against the published vectors of RFC 6238, and the window around now."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from nautilus_site.common import totp

# RFC 6238, appendix B: the SHA-1 rows. The secret is the ASCII text of its reference implementation.
SECRET = b"12345678901234567890"
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


@pytest.mark.parametrize(("moment_s", "code"), VECTORS)
def test_codes_are_those_of_the_rfc(moment_s: int, code: str) -> None:
    step = totp.step_at(moment_s)
    assert totp.code_at(SECRET, step, digits=8) == code
    assert totp.code_at(SECRET, step) == code[-6:], (
        "six digits are the last of eight: RFC 4226, 5.3 truncates"
    )


@pytest.mark.parametrize(("off", "is_taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_works_one_step_early_or_late_and_no_further(off: int, is_taken: bool) -> None:
    now_step = totp.step_at(1111111111)
    code = totp.code_at(SECRET, now_step + off)
    assert totp.step_of(SECRET, code, now_step=now_step) == (now_step + off if is_taken else None)


@pytest.mark.parametrize("code", ["", "000000", "14050471", "５0471", "05047", "0504710", "abcdef"])
def test_what_is_no_code_of_now_is_refused(code: str) -> None:
    assert totp.step_of(SECRET, code, now_step=totp.step_at(1111111111)) is None


def test_a_code_is_read_with_the_space_an_app_shows() -> None:
    assert totp.typed(" 050 471 ") == "050471"


def test_the_address_tells_an_app_all_it_needs() -> None:
    parts = urlsplit(totp.address(SECRET, "ada@trading.example"))
    told = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (parts.scheme, parts.netloc, unquote(parts.path)) == (
        "otpauth",
        "totp",
        "/Nautilus HMM:ada@trading.example",
    )
    assert base64.b32decode(told["secret"]) == SECRET
    assert (told["issuer"], told["digits"], told["period"], told["algorithm"]) == (
        "Nautilus HMM",
        "6",
        "30",
        "SHA1",
    )
    assert base64.b32decode(totp.secret_text(SECRET).replace(" ", "")) == SECRET


def test_the_drawing_needs_nothing_the_content_policy_refuses() -> None:
    drawn = totp.qr_svg(totp.new_secret(), "ada@trading.example")
    assert drawn.startswith("<svg ")
    assert not any(word in drawn for word in ("style", "script", "href", "<title"))


def test_every_secret_is_another_one_of_160_bits() -> None:
    made = {totp.new_secret() for _ in range(50)}
    assert (len(made), {len(secret) for secret in made}) == (50, {20})
