"""A signed export of the audit trail: written line by line, and checked from the file alone.

A head line, a line for each entry with before and after as the text that is stored, and a last line with the sha256
of all above and the signature. Each line has one spelling only, and says its own digest: whatever byte is changed,
the line it stands in is named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from nautilus_site.common.services.audit_digests import STORED_COLUMNS, entry_digest
from nautilus_site.common.services.audit_signing import EXPORT, Signer, is_signed_by

FORM = 1
_MEMBERS = {"before_text": "before", "after_text": "after"}
_HEAD = ("audit_export", "at", "by", "filter", "seal", "head", "public_key", "digest")
_ENTRY = (*(_MEMBERS.get(name, name) for name in STORED_COLUMNS), "digest")
_LAST = ("entries", "sha256", "signature")


class BundleHead(NamedTuple):
    """What the first line says: when it was exported, by whom, what was searched for, the newest link of the chain."""

    at: datetime
    by: str
    filter: Mapping[str, Any]
    seal: int | None
    hash: str


@dataclass(frozen=True, slots=True)
class BundleFault:
    """The first line that does not hold, counted from 1, and why."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class BundleFound:
    """A bundle that holds: what its head says, and how many entries are in it."""

    head: Mapping[str, Any]
    entries: int


def bundle_lines(
    head: BundleHead, pages: Iterable[Iterable[Mapping[str, Any]]], signer: Signer
) -> Iterator[str]:
    """Yield the bundle of these rows (`rows_as_stored`), a page of lines at a time."""
    total, count = hashlib.sha256(), 0
    members = {
        "audit_export": FORM,
        "at": head.at.isoformat(timespec="microseconds"),
        "by": head.by,
        "filter": dict(head.filter),
        "seal": head.seal,
        "head": head.hash,
        "public_key": signer.public_key,
    }
    text = _line({**members, "digest": _head_digest(members)})
    total.update(_bytes(text))
    yield text
    for page in pages:
        lines = [_entry_line(row) for row in page]
        count += len(lines)
        text = "".join(lines)
        total.update(_bytes(text))
        yield text
    sha256 = total.hexdigest()
    signature = signer.sign(EXPORT, _signed_text(count, sha256))
    yield _line({"entries": count, "sha256": sha256, "signature": signature})


def bundle_check(lines: Iterable[bytes], public_key: str) -> BundleFound | BundleFault:
    """Check a bundle, line by line in constant memory, against the public key of the installation it came from."""
    total, count, number = hashlib.sha256(), 0, 0
    head: Mapping[str, Any] | None = None
    ended = False
    for line in lines:
        number += 1
        if ended:
            return BundleFault(number, "nothing may follow the last line")
        try:
            told = _read(line)
            if head is None:
                _head_right(told, public_key)
                head = told
            elif tuple(told) == _LAST:
                _last_right(told, count, total.hexdigest(), public_key)
                ended = True
            else:
                _entry_right(told)
                count += 1
        except _Wrong as wrong:
            return BundleFault(number, str(wrong))
        total.update(line)
    if head is None or not ended:
        return BundleFault(number + 1, "it ends before its last line: something was cut off")
    return BundleFound(head, count)


class _Wrong(Exception):
    pass


def _read(line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise _Wrong("it ends in the middle: something was cut off")
    try:
        told = json.loads(line.decode())
    except (ValueError, RecursionError):
        raise _Wrong("it cannot be read") from None
    if not isinstance(told, dict) or _bytes(_line(told)) != line:
        raise _Wrong("it is not as it was written")
    return told


def _head_right(told: Mapping[str, Any], public_key: str) -> None:
    if tuple(told) != _HEAD or told["audit_export"] != FORM:
        raise _Wrong("it is not the head of a signed export")
    if told["digest"] != _head_digest({name: told[name] for name in _HEAD[:-1]}):
        raise _Wrong("the head was changed")
    if told["public_key"] != public_key:
        raise _Wrong(f"it was signed with another key, {str(told['public_key'])[:64]}")


def _entry_right(told: Mapping[str, Any]) -> None:
    if tuple(told) != _ENTRY:
        raise _Wrong("it is neither an entry nor the last line")
    row = dict(zip((*STORED_COLUMNS, "digest"), told.values(), strict=True))
    try:
        row["at"] = datetime.fromisoformat(told["at"])
        is_same = row["at"].isoformat(timespec="microseconds") == told["at"]
    except (ValueError, TypeError):
        is_same = False
    if not is_same or entry_digest(row) != told["digest"]:
        raise _Wrong(f"entry {str(told['id'])[:20]} was changed")


def _last_right(told: Mapping[str, Any], count: int, sha256: str, public_key: str) -> None:
    if type(told["entries"]) is not int or told["entries"] != count:
        raise _Wrong(f"it says {str(told['entries'])[:20]} entries, and there are {count}")
    if told["sha256"] != sha256:
        raise _Wrong("what stands above it is not what was signed")
    if not is_signed_by(public_key, EXPORT, _signed_text(count, sha256), str(told["signature"])):
        raise _Wrong("the signature is not that of the key")


def _entry_line(row: Mapping[str, Any]) -> str:
    members = {_MEMBERS.get(name, name): row[name] for name in STORED_COLUMNS}
    members["at"] = row["at"].isoformat(timespec="microseconds")
    return _line({**members, "digest": entry_digest(row)})


def _head_digest(members: Mapping[str, Any]) -> str:
    return hashlib.sha256(_bytes(_line(members))).hexdigest()


def _signed_text(count: int, sha256: str) -> str:
    return f"{count}\n{sha256}"


def _line(members: Mapping[str, Any]) -> str:
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False) + "\n"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
