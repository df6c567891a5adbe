"""Log-in, log-out, and what a wrong address or a failure looks like."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import authenticate, logout
from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView, View

from nautilus_site.common.api.problems import INTERNAL_DETAIL, plain_problem, request_reference
from nautilus_site.common.code_views import is_asked_for_a_code, log_in, remember_password, session_kept
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from nautilus_site.common.services.invitations import invitation_use
from nautilus_site.common.services.passwords import password_change
from nautilus_site.common.services.sessions import own_sessions_end


class LoginForm(AuthenticationForm):
    """Names never tell whether an account exists; a lock-out after ten failures is answered by axes."""

    error_messages = {
        "invalid_login": "User name and password do not match, or the account is locked. "
        "After 10 failures it is locked for 15 minutes, but for devices it was used on before.",
        "inactive": "User name and password do not match.",
    }


@method_decorator(sensitive_post_parameters("password"), name="dispatch")
class LoginView(auth_views.LoginView):
    """Open to the logged-in too: logging in again is how a session renews its step-up age."""

    template_name = "registration/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = False

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        person = form.get_user()
        assert isinstance(person, User)
        if not is_asked_for_a_code(person):
            log_in(self.request, person)
            return HttpResponseRedirect(self.get_success_url())
        remember_password(self.request, person)
        back = {self.redirect_field_name: self.get_redirect_url()}
        return HttpResponseRedirect(f"{settings.CODE_URL}?{urlencode(back)}")


class NewPasswordForm(forms.Form):
    """A password twice."""

    password = forms.CharField(max_length=256, strip=False, widget=forms.PasswordInput, label="New password")
    again = forms.CharField(max_length=256, strip=False, widget=forms.PasswordInput, label="Once more")

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("password") != self.cleaned_data.get("again"):
            self.add_error("again", "The two passwords differ.")
        return self.cleaned_data


class WelcomeForm(NewPasswordForm):
    """What a person was given by two others, and the password they choose."""

    link = forms.CharField(max_length=200, label="Link")
    code = forms.CharField(max_length=20, label="Code")

    def clean_link(self) -> str:
        """The secret alone; a whole address may be pasted."""
        return str(self.cleaned_data["link"]).rpartition("#")[2]


@method_decorator(sensitive_post_parameters(), name="dispatch")
@method_decorator(never_cache, name="dispatch")
class WelcomeView(FormView):  # type: ignore[type-arg]  # Django's own class takes none
    """Where people choose a password without knowing one: with a link from an admin and a code from a risk officer."""

    template_name = "registration/welcome.html"
    form_class = WelcomeForm

    def form_valid(self, form: WelcomeForm) -> HttpResponse:
        values = form.cleaned_data
        try:
            user = invitation_use(link=values["link"], code=values["code"], password=values["password"])
        except ApplicationError as error:
            form.add_error(None, error.message)
        except ValidationError as error:
            form.add_error("password", error)
        else:
            return TemplateResponse(self.request, "registration/welcomed.html", {"name": user.username})
        return self.form_invalid(form)


class PasswordForm(NewPasswordForm):
    """The present password, which a session left open does not know, and the new one."""

    present = forms.CharField(
        max_length=256, strip=False, widget=forms.PasswordInput, label="Present password"
    )


@method_decorator(sensitive_post_parameters(), name="dispatch")
@method_decorator(never_cache, name="dispatch")
class PasswordView(LoginRequiredMixin, FormView):  # type: ignore[type-arg]  # Django's own class takes none
    """Where people change their own password. Wrong guesses of the present one count as wrong log-ins do."""

    template_name = "registration/password.html"
    form_class = PasswordForm

    def form_valid(self, form: PasswordForm) -> HttpResponse:
        values, person = form.cleaned_data, self.request.user
        assert isinstance(person, User)
        user = authenticate(self.request, username=person.username, password=values["present"])
        if not isinstance(user, User):
            form.add_error("present", "This is not your present password.")
            return self.form_invalid(form)
        try:
            password_change(user=user, password=values["password"])
        except ValidationError as error:
            form.add_error("password", error)
            return self.form_invalid(form)
        session_kept(self.request, user)
        return TemplateResponse(self.request, "registration/password_changed.html", {})


class LogoutEverywhereView(LoginRequiredMixin, View):
    """Ends every session of whoever asks, this one with them."""

    def post(self, request: HttpRequest) -> HttpResponse:
        assert isinstance(request.user, User)
        own_sessions_end(user=request.user)
        logout(request)
        return TemplateResponse(request, "registration/logged_out.html", {"everywhere": True})


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
        request,
        429,
        "LOCKED_OUT",
        "too many failed log-ins for this account or from this address: it is locked for 15 minutes, but for "
        "devices it was used on before",
    )
