"""Log-in, log-out, and what a wrong address or a failure looks like."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from nautilus_site.common.api.problems import INTERNAL_DETAIL, plain_problem, request_reference


class LoginForm(AuthenticationForm):
    """Names never tell whether an account exists; a lock-out after ten failures is answered by axes."""

    error_messages = {
        "invalid_login": "User name and password do not match, or the account is locked. "
        "After 10 failures an account is locked for 15 minutes.",
        "inactive": "User name and password do not match.",
    }


@method_decorator(sensitive_post_parameters("password"), name="dispatch")
class LoginView(auth_views.LoginView):
    """Open to the logged-in too: logging in again is how a session renews its step-up age."""

    template_name = "registration/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = False


class LogoutView(auth_views.LogoutView):
    """Ends the session (POST only) and says so."""

    template_name = "registration/logged_out.html"


def favicon(request: HttpRequest) -> HttpResponse:
    """Where a browser asks for an icon on pages that name none: the API's, the admin's, a bare answer."""
    return HttpResponseRedirect(static("nautilus/img/favicon.svg"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 400, "BAD_REQUEST", "the request is malformed")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 403, "PERMISSION_DENIED", str(exception) or "you may not do this")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 404, "NOT_FOUND", "no such address")


def server_error(request: HttpRequest) -> HttpResponse:
    return _error(request, 500, "INTERNAL", INTERNAL_DETAIL)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _error(
        request, 403, "CSRF_FAILED", "the form has expired: go back, reload the page and send it again"
    )


def _error(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    """A problem document for machines, a small page for people. Neither needs the database."""
    if request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", ""):
        return plain_problem(request, code, detail, status, request_reference() if status == 500 else None)
    context = {"status": status, "title": HTTPStatus(status).phrase, "detail": detail, **request_reference()}
    response = TemplateResponse(None, "registration/error.html", context, status=status)  # type: ignore[arg-type]
    return response.render()


def locked_out(request: HttpRequest, *_: object, **__: object) -> HttpResponse:
    """Answer of axes after too many failures."""
    return _error(
        request, 429, "LOCKED_OUT", "too many failed log-ins: this account is locked here for 15 minutes"
    )
