"""The second step of a log-in: a code of one's app, or a recovery code. Before it nobody is logged in."""

from __future__ import annotations

import time
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from django import forms
from django.conf import settings
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import RedirectURLMixin, redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.crypto import constant_time_compare
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView

from nautilus_site.common.models import User
from nautilus_site.common.services.break_glass import break_glass_admits
from nautilus_site.common.services.second_factors import (
    code_use,
    recovery_code_use,
    second_factor_confirmed,
    second_factor_refused,
    second_factor_wait,
)
from nautilus_site.common.services.sessions import session_used
from nautilus_site.common.sessions import SECOND_FACTOR

PASSWORD_GIVEN = "password_given"  # noqa: S105  the name of a session's member
BACKEND = "django.contrib.auth.backends.ModelBackend"


def is_asked_for_a_code(person: User) -> bool:
    """Whoever has a second factor; not while break-glass stands open for them, which took two people."""
    return second_factor_confirmed(person) is not None and not break_glass_admits(person)


def remember_password(request: HttpRequest, person: User) -> None:
    """Note in the session who gave a right password, and when. This logs nobody in.

    Whoever else was logged in here is not any more. A person who only renews their log-in stays what they were, key of
    the session and all: it took both steps, and a screen they trade from must not go dark while they look for their
    phone. With the code it gets another one.
    """
    if not request.user.is_authenticated:
        request.session.cycle_key()
    elif request.user.pk != person.pk:
        request.session.flush()
    request.session[PASSWORD_GIVEN] = {
        "user": person.pk,
        "hash": person.get_session_auth_hash(),
        "at": time.time(),
    }


def log_in(request: HttpRequest, person: User) -> None:
    """Log a person in under another key of their session, also where they only renew it.

    Django leaves the key of who is logged in already: whoever had come by it would be renewed with them.
    """
    if request.user.is_authenticated and request.user.pk == person.pk:
        request.session.cycle_key()
    login(request, person, backend=getattr(person, "backend", BACKEND))


def session_kept(request: HttpRequest, person: User) -> None:
    """Go on with this session, under another key, where every session of its person has just ended."""
    update_session_auth_hash(request, person)
    session_used(request.session)


def password_given_by(request: HttpRequest) -> User | None:
    """Who gave a right password here less than five minutes ago; void once it was changed or they were switched off."""
    given: Any = request.session.get(PASSWORD_GIVEN)
    if not given or not 0 <= time.time() - given["at"] <= settings.CODE_MAX_AGE.total_seconds():
        return None
    person = User.objects.filter(pk=given["user"], is_active=True).first()
    if person is None or not constant_time_compare(given["hash"], person.get_session_auth_hash()):
        return None
    return person


class CodeForm(forms.Form):
    """A code of the app, or a recovery code."""

    code = forms.CharField(max_length=20, required=False)
    recovery = forms.CharField(max_length=40, required=False)

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if not values.get("code") and not values.get("recovery"):
            raise forms.ValidationError("Give the code your app shows, or a recovery code.")
        return values


@method_decorator(sensitive_post_parameters(), name="dispatch")
@method_decorator(never_cache, name="dispatch")
class CodeView(RedirectURLMixin, FormView):  # type: ignore[type-arg]  # Django's own class takes none
    """Wrong codes count as wrong passwords do: ten of either, and the account is locked here for 15 minutes."""

    template_name = "registration/code.html"
    form_class = CodeForm
    person: User

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        person = password_given_by(request)
        if person is None:
            return redirect_to_login(self.get_success_url())
        self.person = person
        return super().dispatch(request, *args, **kwargs)

    def get_default_redirect_url(self) -> str:
        return resolve_url(settings.LOGIN_REDIRECT_URL)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, person=self.person, next=self.get_redirect_url())

    @transaction.atomic
    def form_valid(self, form: CodeForm) -> HttpResponse:
        person, values = self.person, form.cleaned_data
        # What axes looks at; the password was given before, and the code is nobody's business.
        credentials = {"username": person.username}
        second_factor_wait(user=person)
        if not AxesProxyHandler.is_allowed(self.request, credentials):
            self.request.axes_locked_out = True  # type: ignore[attr-defined]  # what its middleware answers to
            return self.form_invalid(form)
        if values["recovery"]:
            right = recovery_code_use(user=person, text=values["recovery"])
        else:
            right = code_use(user=person, code=values["code"])
        if not right:
            second_factor_refused(user=person)
            user_login_failed.send(sender=__name__, credentials=credentials, request=self.request)
            form.add_error(
                None, "This code is wrong, used already, or over. Wait for the next one your app shows."
            )
            return self.form_invalid(form)
        back = self.get_success_url()
        del self.request.session[PASSWORD_GIVEN]
        log_in(self.request, person)
        self.request.session[SECOND_FACTOR] = True
        return HttpResponseRedirect(back)
