"""`Idempotency-Key`: the same key and body always get the same answer, and the work is done once."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import time
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from nautilus_site.common.api.problems import CONTENT_TYPE as PROBLEM_TYPE
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import IdempotencyRecord
from nautilus_site.common.services.idempotency import (
    Claim,
    idempotency_claim,
    idempotency_complete,
    idempotency_release,
)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT_HEADERS = ("Location", "Retry-After")
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,255}")
WAIT_S = 10.0
POLL_S, POLL_MAX_S = 0.02, 0.25

Handler = Callable[..., HttpResponse]


def idempotent(*, required: bool = False) -> Callable[[Handler], Handler]:
    """Decorate a method of an API view.

    While it runs, `request.idempotency` is the Claim; pass `request.idempotency.unique_key` down to the
    service as a unique key, so that an attempt repeated after a crash finds what the first one did. It is
    None without the header. Final answers (2xx to 4xx) are kept, errors raised as exceptions included; 429
    and 5xx are not.
    """

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def wrapped(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
            key = idempotency_key(request, required=required)
            request.idempotency = None  # type: ignore[attr-defined]
            if key is None:
                return handler(view, request, *args, **kwargs)
            fingerprint = request_fingerprint(request)
            outcome = _claim_or_answer(_user_id(request), key, fingerprint)
            if isinstance(outcome, HttpResponse):
                return outcome
            request.idempotency = outcome  # type: ignore[attr-defined]
            return _answer_once(outcome, view, functools.partial(handler, view, request, *args, **kwargs))

        return wrapped

    return decorate


def idempotency_key(request: Request, *, required: bool) -> str | None:
    """The validated header, or None where it is absent and optional."""
    key = request.headers.get(HEADER)
    if key is None:
        if required:
            raise ApplicationError("IDEMPOTENCY_KEY_REQUIRED", f"this request needs an {HEADER} header")
        return None
    if not _VISIBLE_ASCII.fullmatch(key):
        raise ApplicationError(
            "IDEMPOTENCY_KEY_INVALID", f"{HEADER} must be 1 to 255 visible ASCII characters without spaces"
        )
    return key


def request_fingerprint(request: Request) -> str:
    """sha256 of method, path with query, and the canonical JSON of the body."""
    body = json.dumps(request.data, sort_keys=True, separators=(",", ":"), default=str)
    text = "\n".join((str(request.method), request.get_full_path(), body))
    return hashlib.sha256(text.encode()).hexdigest()


def _user_id(request: Request) -> int:
    assert request.user.pk is not None  # the permission check came first
    return int(request.user.pk)


def _claim_or_answer(user_id: int, key: str, fingerprint: str) -> Claim | HttpResponse:
    deadline = time.monotonic() + WAIT_S
    pause = POLL_S
    while True:
        claim = idempotency_claim(user_id=user_id, key=key, fingerprint=fingerprint)
        if claim is not None:
            return claim
        record = IdempotencyRecord.objects.filter(user_id=user_id, key=key).first()
        if record is not None and record.fingerprint != fingerprint:
            raise Conflict("IDEMPOTENCY_KEY_REUSED", "this key was used with another request")
        if record is not None and record.status is not None:
            return _replay(record)
        if time.monotonic() >= deadline:
            raise Conflict(
                "IDEMPOTENCY_IN_FLIGHT",
                "the first request under this key has not been answered yet",
                extra={"retry_after": 1},
            )
        time.sleep(pause)
        pause = min(pause * 1.5, POLL_MAX_S)


def _replay(record: IdempotencyRecord) -> HttpResponse:
    first = record.status or 200
    response = HttpResponse(
        record.body or "",
        status=200 if first == 201 else first,
        content_type=PROBLEM_TYPE if first >= 400 else "application/json",
    )
    for name, value in record.headers.items():
        response[name] = value
    response[REPLAYED] = "true"
    return response


def _answer_once(claim: Claim, view: Any, work: Callable[[], HttpResponse]) -> HttpResponse:
    answered = False
    try:
        try:
            response = work()
        except Exception as error:  # noqa: BLE001
            # The view's own handler turns it into the answer; what it does not know it raises again.
            response = view.handle_exception(error)
        if response.status_code < 500 and response.status_code != 429:
            answered = True
            headers = {name: response[name] for name in KEPT_HEADERS if name in response}
            idempotency_complete(claim, status=response.status_code, body=_text(response), headers=headers)
        return response
    finally:
        if not answered:
            idempotency_release(claim)


def _text(response: HttpResponse) -> str:
    if isinstance(response, Response):
        return JSONRenderer().render(response.data).decode()
    return response.content.decode()
