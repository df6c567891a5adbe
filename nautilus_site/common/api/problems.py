"""RFC 9457 problem documents: every error of the API has a stable `code`, and none shows our insides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.signals import got_request_exception
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.requests import request_now

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
RESERVED = frozenset({"type", "title", "status", "detail", "code", "instance"})
TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    422: "Refused",
    429: "Too many requests",
    500: "Internal error",
    503: "Unavailable",
}
DRF_CODES: dict[type[exceptions.APIException], str] = {
    exceptions.ParseError: "MALFORMED_JSON",
    exceptions.NotAuthenticated: "NOT_AUTHENTICATED",
    exceptions.AuthenticationFailed: "NOT_AUTHENTICATED",
    exceptions.PermissionDenied: "PERMISSION_DENIED",
    exceptions.NotFound: "NOT_FOUND",
    exceptions.MethodNotAllowed: "METHOD_NOT_ALLOWED",
    exceptions.NotAcceptable: "NOT_ACCEPTABLE",
    exceptions.UnsupportedMediaType: "UNSUPPORTED_MEDIA_TYPE",
    exceptions.Throttled: "THROTTLED",
}


def problem_body(
    code: str, detail: str, http_status: int, *, instance: str = "", extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The members of a problem document; `extra` never overrides the standard ones."""
    members = {key: value for key, value in (extra or {}).items() if key not in RESERVED}
    return {
        "type": f"urn:nautilus:problem:{code.lower().replace('_', '-')}",
        "title": TITLES.get(http_status, "Error"),
        "status": http_status,
        "detail": detail,
        "code": code,
        "instance": instance,
        **members,
    }


def problem_response(
    code: str, detail: str, http_status: int, *, instance: str = "", extra: Mapping[str, Any] | None = None
) -> Response:
    """A problem document as a DRF response, for views that answer with one without raising."""
    body = problem_body(code, detail, http_status, instance=instance, extra=extra)
    return Response(body, status=http_status, content_type=CONTENT_TYPE)


def plain_problem(
    request: HttpRequest, code: str, detail: str, http_status: int, extra: Mapping[str, Any] | None = None
) -> JsonResponse:
    """The same outside DRF: Django's own error handlers and the probes."""
    body = problem_body(code, detail, http_status, instance=request.path, extra=extra)
    return JsonResponse(body, status=http_status, content_type=CONTENT_TYPE)


def problem_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler. What nobody foresaw is logged here and answered without its text."""
    request = context.get("request")
    instance = getattr(request, "path", "")
    set_rollback()
    if isinstance(error, ApplicationError):
        response = problem_response(
            error.code, error.message, error.status, instance=instance, extra=error.extra
        )
        _retry_after(response, error.extra.get("retry_after"))
        return response
    if isinstance(error, Http404):
        return problem_response("NOT_FOUND", "no such resource", 404, instance=instance)
    if isinstance(error, PermissionDenied):
        return problem_response("PERMISSION_DENIED", "you may not do this", 403, instance=instance)
    if isinstance(error, ValidationError):
        return _validation(_django_errors(error), instance)
    if isinstance(error, exceptions.ValidationError):
        return _validation(error.detail, instance)
    if isinstance(error, exceptions.APIException):
        return _from_drf(error, instance)
    if isinstance(error, OperationalError | InterfaceError):
        log.error("api_database_unavailable", error=type(error).__name__)
        response = problem_response(
            "SERVICE_UNAVAILABLE", "the database does not answer", 503, instance=instance
        )
        response["Retry-After"] = "1"
        return response
    if isinstance(error, DataError):
        return problem_response("INVALID_VALUE", "a value does not fit its column", 400, instance=instance)
    if isinstance(error, IntegrityError):
        log.warning("api_conflict", error=type(error).__name__, exc_info=error)
        return problem_response(
            "CONFLICT", "the change conflicts with what is stored", 409, instance=instance
        )
    log.error("api_internal_error", path=instance, exc_info=error)
    # Tells Django's instrumentation (and its test client, which then raises) of an error answered here.
    got_request_exception.send(sender=problem_handler, request=getattr(request, "_request", None))
    return internal_problem(instance)


def internal_problem(instance: str) -> Response:
    """A 500 that says nothing but the request id to quote."""
    return problem_response("INTERNAL", INTERNAL_DETAIL, 500, instance=instance, extra=request_reference())


INTERNAL_DETAIL = "an internal error; it was logged under this request id"


def request_reference() -> dict[str, str]:
    """The request id, as a problem member."""
    request_id = request_now()
    return {"request_id": request_id} if request_id else {}


def _from_drf(error: exceptions.APIException, instance: str) -> Response:
    code = next((DRF_CODES[kind] for kind in type(error).__mro__ if kind in DRF_CODES), "")
    own = getattr(error.detail, "code", "")
    if isinstance(own, str) and own.isupper():
        code = own
    if error.status_code >= status.HTTP_500_INTERNAL_SERVER_ERROR:
        log.error("api_error", path=instance, exc_info=error)
        code = code or ("SERVICE_UNAVAILABLE" if error.status_code == 503 else "INTERNAL")
    extra: dict[str, Any] = {}
    wait = getattr(error, "wait", None)
    if wait is not None:
        extra["retry_after"] = math.ceil(wait)
    response = problem_response(
        code or "ERROR", str(error.detail), error.status_code, instance=instance, extra=extra
    )
    if challenge := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    _retry_after(response, extra.get("retry_after"))
    return response


def _validation(detail: Any, instance: str) -> Response:
    errors = _by_field(detail)
    first_field, first = next(iter(errors.items()), ("", ["invalid"]))
    where = "" if first_field == "non_field_errors" else f"{first_field}: "
    return problem_response(
        "VALIDATION", f"{where}{first[0]}", 400, instance=instance, extra={"errors": errors}
    )


def _by_field(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """DRF's nested details as one flat map of dotted field names to sentences."""
    if isinstance(detail, Mapping):
        flat: dict[str, list[str]] = {}
        for key, value in detail.items():
            flat.update(_by_field(value, f"{prefix}.{key}" if prefix else str(key)))
        return flat
    if isinstance(detail, list | tuple):
        if all(isinstance(item, str) for item in detail):
            return {prefix or "non_field_errors": [str(item) for item in detail]}
        flat = {}
        for index, item in enumerate(detail):
            if item:
                flat.update(_by_field(item, f"{prefix}.{index}" if prefix else str(index)))
        return flat
    return {prefix or "non_field_errors": [str(detail)]}


def _django_errors(error: ValidationError) -> dict[str, list[str]]:
    if hasattr(error, "error_dict"):
        return {("non_field_errors" if k == "__all__" else k): v for k, v in error.message_dict.items()}
    return {"non_field_errors": list(error.messages)}


def _retry_after(response: Response, seconds: Any) -> None:
    if isinstance(seconds, int | float) and math.isfinite(seconds):
        response["Retry-After"] = str(max(1, math.ceil(seconds)))
