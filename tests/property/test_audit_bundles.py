"""A signed export of the audit trail: whatever is changed, left out, put in or signed by somebody else is found."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from nautilus_site.common.services.audit_bundles import (
    BundleFault,
    BundleFound,
    BundleHead,
    bundle_check,
    bundle_lines,
)
from nautilus_site.common.services.audit_digests import entry_digest
from nautilus_site.common.services.audit_signing import Signer

SIGNER, OTHER = Signer(SigningKey(b"1" * 32)), Signer(SigningKey(b"2" * 32))
AT = datetime(2026, 11, 30, 15, 0, 0, 5, tzinfo=UTC)
HEAD = BundleHead(AT, "risk", {"action": "limit.*", "text": "é\u2028"}, 7, "a" * 64)
stored = st.one_of(st.none(), st.just('{"v": 1.10, "é": null}'), st.text(max_size=8))
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
rows = st.fixed_dictionaries(
    {
        "id": st.integers(1, 10**12),
        "at": moments,
        "actor_id": st.none() | st.integers(1, 99),
        "actor_name": texts,
        "action": texts,
        "target": texts,
        "reason": texts,
        "before_text": stored.filter(lambda text: text is None or text.isprintable()),
        "after_text": stored.filter(lambda text: text is None or text.isprintable()),
        "request_id": texts,
    }
)
pages = st.lists(st.lists(rows, max_size=3), max_size=3)


def bundle(found: list[list[dict[str, Any]]], signer: Signer = SIGNER) -> list[bytes]:
    return "".join(bundle_lines(HEAD, found, signer)).encode().splitlines(keepends=True)


def check(text: bytes, key: str = SIGNER.public_key) -> BundleFound | BundleFault:
    return bundle_check(io.BytesIO(text), key)


@given(pages)
def test_a_bundle_holds_with_its_key_and_with_no_other(found: list[list[dict[str, Any]]]) -> None:
    whole = b"".join(bundle(found))
    told = check(whole)
    assert isinstance(told, BundleFound)
    assert (told.entries, told.head["filter"]) == (sum(map(len, found)), dict(HEAD.filter))
    assert check(whole, OTHER.public_key) == BundleFault(
        1, f"it was signed with another key, {SIGNER.public_key}"
    )
    for line, page_row in zip(whole.split(b"\n")[1:-2], [row for page in found for row in page], strict=True):
        told_row = json.loads(line)
        assert (told_row["before"], told_row["after"]) == (page_row["before_text"], page_row["after_text"])
        assert told_row["digest"] == entry_digest(page_row)


@settings(max_examples=300)
@given(pages, st.data())
def test_a_changed_byte_is_found_in_its_line(found: list[list[dict[str, Any]]], data: st.DataObject) -> None:
    text = bytearray(b"".join(bundle(found)))
    place = data.draw(st.integers(0, len(text) - 1))
    line = bytes(text[:place]).count(b"\n") + 1
    text[place] ^= data.draw(st.integers(1, 255))
    told = check(bytes(text))
    assert isinstance(told, BundleFault)
    assert told.line == line, told


def test_each_flipped_bit_of_a_bundle_is_found() -> None:
    row = {
        "id": 5,
        "at": AT,
        "actor_id": 1,
        "actor_name": "risk",
        "action": "limit.changed",
        "target": "limit:é",
    }
    row |= {"reason": "r", "before_text": '"1"', "after_text": '{"v": 0.10}', "request_id": ""}
    whole = b"".join(bundle([[row]]))
    for place in range(len(whole)):
        for bit in range(8):
            text = bytearray(whole)
            text[place] ^= 1 << bit
            told = check(bytes(text))
            assert isinstance(told, BundleFault), (place, bit)
            assert told.line == whole[:place].count(b"\n") + 1, (place, bit, told)


@given(pages, st.data())
def test_a_bundle_cut_off_anywhere_is_found(found: list[list[dict[str, Any]]], data: st.DataObject) -> None:
    whole = b"".join(bundle(found))
    kept = whole[: data.draw(st.integers(0, len(whole) - 1))]
    told = check(kept)
    assert isinstance(told, BundleFault)
    assert "cut off" in told.problem
    assert told.line == kept.count(b"\n") + 1


def forged(line: bytes, **changes: Any) -> bytes:
    """A line with other members, its own digest made anew."""
    members = json.loads(line) | changes
    texts = {name: members[name] for name in members if name not in ("before", "after", "digest")}
    texts |= {"before_text": members["before"], "after_text": members["after"]}
    members["digest"] = entry_digest(texts | {"at": datetime.fromisoformat(members["at"])})
    return (json.dumps(members, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


ROW: dict[str, Any] = {
    "id": 9, "at": AT, "actor_id": None, "actor_name": "relay", "action": "x", "target": "x", "reason": "",
    "before_text": None, "after_text": "1", "request_id": "",
}  # fmt: skip
THREE = [[ROW, ROW | {"id": 8}], [ROW | {"id": 7}]]


@pytest.mark.parametrize(
    ("change", "line", "problem"),
    [
        (lambda lines: [*lines[:2], forged(lines[2], reason="x"), *lines[3:]], 5, "what stands above it"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 5, "what stands above it"),
        (lambda lines: [*lines[:2], *lines[3:]], 5 - 1, "it says 3 entries, and there are 2"),
        (lambda lines: [*lines[:2], *lines[1:]], 5 + 1, "it says 3 entries, and there are 4"),
        (lambda lines: [*lines, lines[1]], 6, "nothing may follow"),
        (lambda lines: lines[1:], 1, "it is not the head"),
        (lambda lines: [lines[0], *lines], 2, "neither an entry nor"),
        (lambda lines: [lines[0], b"[]\n", *lines[1:]], 2, "it is not as it was written"),
        (lambda lines: [lines[0], b'{"id": "\\ud800"}\n', *lines[1:]], 2, "it is not as it was written"),
        (lambda lines: [*lines[:-1], bundle([], SIGNER)[-1]], 5, "it says 0 entries, and there are 3"),
        (lambda lines: [*lines[:-1], bundle(THREE, OTHER)[-1]], 5, "what stands above it"),
    ],
)
def test_what_was_put_together_anew_is_found(change: Any, line: int, problem: str) -> None:
    told = check(b"".join(change(bundle(THREE))))
    assert isinstance(told, BundleFault)
    assert (told.line, problem in told.problem) == (line, True), told


def test_a_bundle_of_somebody_else_that_says_it_is_ours_is_found() -> None:
    theirs = Signer(SigningKey(b"3" * 32))

    class Claims(Signer):
        @property
        def public_key(self) -> str:
            return SIGNER.public_key

    told = check(b"".join(bundle(THREE, Claims(theirs.key))))
    assert told == BundleFault(5, "the signature is not that of the key")
