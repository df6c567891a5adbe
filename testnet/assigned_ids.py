"""Ids the venue assigns where a client sent none."""

from __future__ import annotations

import hashlib
import string

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 22


def assigned_id(kind: str, number: int) -> str:
    """22 letters and digits for the so-many-th of its kind, the same in every equal run."""
    digest = int.from_bytes(hashlib.sha256(f"{kind}:{number}".encode()).digest(), "big")
    letters = []
    for _ in range(_LENGTH):
        digest, index = divmod(digest, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return "".join(letters)
