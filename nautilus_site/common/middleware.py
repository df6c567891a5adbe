"""What every request and answer carries: a request id, and a content security policy."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from nautilus_site.common.metrics import HTTP_LATENCY
from nautilus_site.common.requests import request_begin

REQUEST_ID_HEADER = "X-Request-ID"

GetResponse = Callable[[HttpRequest], HttpResponse]


class Middleware:
    """Runs in either world, so that an asynchronous view is not pushed through a thread."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self.is_async:
            return self._call_async(request)  # type: ignore[return-value]
        self.before(request)
        return self.after(request, self.get_response(request))

    async def _call_async(self, request: HttpRequest) -> HttpResponse:
        self.before(request)
        return self.after(request, await self.get_response(request))  # type: ignore[misc]

    def before(self, request: HttpRequest) -> None:
        raise NotImplementedError

    def after(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        raise NotImplementedError


class LatencyMiddleware(Middleware):
    """Observes how long each route takes. The label is the route's pattern, so that there are few."""

    def before(self, request: HttpRequest) -> None:
        request.began_at = time.perf_counter()  # type: ignore[attr-defined]

    def after(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        match = request.resolver_match
        route = (match.route or "/") if match is not None else "unmatched"
        took = time.perf_counter() - request.began_at  # type: ignore[attr-defined]
        HTTP_LATENCY.labels(request.method, route, str(response.status_code)).observe(took)
        return response


class RequestIdMiddleware(Middleware):
    """Takes a well-formed X-Request-ID or makes one; logs, audit rows and the answer carry it."""

    def before(self, request: HttpRequest) -> None:
        request.request_id = request_begin(request.headers.get(REQUEST_ID_HEADER, ""))  # type: ignore[attr-defined]

    def after(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response[REQUEST_ID_HEADER] = request.request_id  # type: ignore[attr-defined]
        return response


class ContentSecurityPolicyMiddleware(Middleware):
    """Own pages: only our files, plus inline blocks that carry `request.csp_nonce`.

    The admin's Alpine components evaluate expressions and set inline styles, and Swagger UI sets inline
    styles: those two get what they need and no more.
    """

    def before(self, request: HttpRequest) -> None:
        request.csp_nonce = SimpleLazyObject(lambda: secrets.token_urlsafe(18))  # type: ignore[attr-defined]

    def after(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if "Content-Security-Policy" not in response:
            nonce = str(request.csp_nonce)  # type: ignore[attr-defined]
            response["Content-Security-Policy"] = content_security_policy(request.path, nonce)
        return response


def content_security_policy(path: str, nonce: str) -> str:
    """The policy for a path."""
    script, style = f"'self' 'nonce-{nonce}'", f"'self' 'nonce-{nonce}'"
    if path.startswith("/admin/"):
        # A nonce beside 'unsafe-inline' would switch the latter off, so the admin's styles have none.
        script, style = f"{script} 'unsafe-eval'", "'self' 'unsafe-inline'"
    elif path.startswith("/api/docs/"):
        style = "'self' 'unsafe-inline'"
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src {script}",
            f"style-src {style}",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
