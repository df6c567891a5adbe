"""The thread of a request: whoever may ask or decide asks back before it is decided. It changes nothing."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden
from nautilus_site.common.models import ChangeComment, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import request_locked_pending
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.powers import person_may

COMMENTING: Final = "change.request"
MOST: Final = 100
_TOLD: Final = 300


@transaction.atomic
def change_comment_add(*, request_id: Any, author: User, text: str) -> ChangeComment:
    """Add to the thread of a request that waits; told like every other news of it.

    Raises
    ------
    NotFound : APPROVAL_NOT_FOUND.  Forbidden : ROLE_REQUIRED.
    Conflict : APPROVAL_CLOSED; TOO_MANY_COMMENTS, by then people had better talk.
    ApplicationError : INVALID_COMMENT, empty or longer than 2000 characters.
    """
    text = text.strip()
    if not text or len(text) > ChangeComment.LONGEST:
        raise ApplicationError("INVALID_COMMENT", f"expected 1 to {ChangeComment.LONGEST} characters")
    if not person_may(author, COMMENTING):
        raise Forbidden("ROLE_REQUIRED", "your role may neither ask for changes nor decide about them")
    request = request_locked_pending(request_id)
    if ChangeComment.objects.filter(request=request).count() >= MOST:
        raise Conflict("TOO_MANY_COMMENTS", f"a request has {MOST} comments at most")
    comment = ChangeComment.objects.create(request=request, author=author, text=text, at=now())
    audit_record(
        action="change_request.commented",
        target=f"{request.kind}:{request.target}",
        actor=author,
        reason=text,
    )
    publish(
        "approvals",
        {
            "id": str(request.pk),
            "kind": request.kind,
            "target": request.target,
            "state": "commented",
            "by": author.username,
            "comment": comment.pk,
            "text": text[:_TOLD],
        },
    )
    return comment
