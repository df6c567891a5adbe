"""Notices about exchange keys and API tokens: stopped, too old, over soon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.domain.notices.notice import Notice, Severity


def key_notice(data: Mapping[str, Any]) -> Notice | None:
    """What people are told of a key or a token; None for what only the page shows."""
    kind, state, target = data.get("kind"), data.get("state"), data.get("target")
    name = f"{target} …{data.get('last_four')}"
    match kind, state:
        case "credential", "revoked":
            return Notice(
                kind="key.revoked",
                severity=Severity.critical,
                title=f"{name} is revoked by {data.get('by')}",
                text=f"{data.get('reason')}; it is used no more, and what needs it has stopped until another is in use",
                link="/people/",
                subject=f"key:{target}:revoked:{data.get('at')}",
            )
        case "credential", "due":
            return Notice(
                kind="key.rotation_due",
                severity=Severity.warning,
                title=f"{name} is due to be replaced",
                text=f"in use since {str(data.get('since'))[:10]}",
                link="/people/",
                subject=f"key:{target}:due:{data.get('since')}",
            )
        case "token", "expiring":
            return Notice(
                kind="token.expiring",
                severity=Severity.warning,
                title=f"the token {target} of {data.get('user')} ends within 14 days",
                text=f"on {str(data.get('expires_at'))[:16].replace('T', ' ')} UTC; what uses it needs another one",
                link="/people/",
                subject=f"token:{data.get('id')}:expiring",
            )
    return None
