"""Signed statements of a day: written beside the database, so that they can be checked without it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from nacl.encoding import Base64Encoder
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from trading.models import Account, Statement

FOLDER = "statements"
SIGNING_KEY, VERIFY_KEY = "statement.key", "statement.pub"


def statement_sign(*, account: Account, day: date, content: dict[str, Any], agrees: bool) -> Statement:
    """Sign the statement of a day, write it to its file, and keep it; a second one of the day replaces it."""
    text = canonical(content)
    digest = hashlib.sha256(text.encode()).hexdigest()
    signature = base64.b64encode(_key().sign(text.encode()).signature).decode()
    path = Path(FOLDER) / f"{account.name}-{day.isoformat()}.json"
    _write(
        Path(settings.NAUTILUS_HOME) / path,
        {"statement": content, "sha256": digest, "signature": signature, "algorithm": "Ed25519"},
    )
    row, _ = Statement.objects.update_or_create(
        account=account,
        day=day,
        defaults={
            "created_at": now(),
            "agrees": agrees,
            "content": content,
            "digest": digest,
            "signature": signature,
            "path": str(path),
        },
    )
    audit_record(
        action="reconcile.statement",
        target=f"{account.name}:{day.isoformat()}",
        actor="reconciliation",
        after={"sha256": digest, "agrees": agrees},
    )
    return row


def statement_verify(path: Path) -> bool:
    """Whether a file is what was signed with this home's key."""
    told = json.loads(path.read_text(encoding="utf-8"))
    public = VerifyKey((_folder() / VERIFY_KEY).read_bytes(), Base64Encoder)
    try:
        public.verify(canonical(told["statement"]).encode(), base64.b64decode(told["signature"]))
    except (BadSignatureError, ValueError):
        return False
    return True


def canonical(content: dict[str, Any]) -> str:
    """The text that is signed: sorted members, no spaces."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _folder() -> Path:
    return Path(settings.NAUTILUS_HOME) / "keys"


def _key() -> SigningKey:
    path = _folder() / SIGNING_KEY
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = SigningKey.generate()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(made.encode(Base64Encoder))
        (_folder() / VERIFY_KEY).write_bytes(made.verify_key.encode(Base64Encoder))
    return SigningKey(path.read_bytes(), Base64Encoder)


def _write(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, sort_keys=True, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
