"""`/accounts/second-factor/`: setting up an app, confirming it, and codes for when it is gone."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.safestring import mark_safe
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from nautilus_site.common import totp
from nautilus_site.common.code_views import session_kept
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from nautilus_site.common.services.second_factors import (
    recovery_codes_left,
    recovery_codes_renew,
    second_factor_begin,
    second_factor_confirm,
    second_factor_confirmed,
    second_factor_pending,
)
from nautilus_site.common.sessions import SECOND_FACTOR, authentication_age_s

BEGUN = "second_factor_begun"


class ConfirmForm(forms.Form):
    """A code of the app that is being set up."""

    code = forms.CharField(max_length=20)


@method_decorator(sensitive_post_parameters(), name="dispatch")
@method_decorator(never_cache, name="dispatch")
class SecondFactorView(LoginRequiredMixin, View):
    """What one does with one's own, by a log-in as recent as an approval takes. Taking it away takes two others."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._page(request)

    def post(self, request: HttpRequest) -> HttpResponse:
        action = request.POST.get("action", "")
        if action == "confirm":
            return self._confirm(
                request
            )  # what was begun five minutes after the log-in may take a little longer
        if action not in ("begin", "codes"):
            return self._page(request, problem="Choose what to do.")
        if not _is_recent(request):
            return redirect_to_login(request.path)
        if action == "begin":
            request.session[BEGUN] = second_factor_begin(user=_person(request))
            return HttpResponseRedirect(request.path)
        try:
            codes = recovery_codes_renew(user=_person(request))
        except ApplicationError as error:
            return self._page(request, problem=error.message)
        return _codes_once(request, codes)

    def _confirm(self, request: HttpRequest) -> HttpResponse:
        form, person = ConfirmForm(request.POST), _person(request)
        if not form.is_valid():
            return self._page(request, problem="Give the code your app shows.")
        try:
            codes = second_factor_confirm(
                user=person, begun=request.session.get(BEGUN, ""), code=form.cleaned_data["code"]
            )
        except ApplicationError as error:
            return self._page(request, problem=error.message)
        del request.session[BEGUN]
        # Every session of this person has ended; this one has just shown both factors and goes on.
        request.session[SECOND_FACTOR] = True
        session_kept(request, person)
        return _codes_once(request, codes, new=True)

    def _page(self, request: HttpRequest, problem: str = "") -> HttpResponse:
        person = _person(request)
        pending = second_factor_pending(person, request.session.get(BEGUN, ""))
        confirmed = second_factor_confirmed(person)
        context: dict[str, Any] = {
            "problem": problem,
            "confirmed_at": confirmed.confirmed_at if confirmed else None,
            "codes_left": recovery_codes_left(person),
            "is_recent": _is_recent(request),
            "required": settings.REQUIRE_SECOND_FACTOR,
        }
        if pending is not None:
            account = f"{person.username}@{request.get_host()}"
            context["secret"] = totp.secret_text(pending)
            context["qr"] = mark_safe(totp.qr_svg(pending, account))  # noqa: S308  drawn by us, holds no text
        return TemplateResponse(request, "registration/second_factor.html", context)


def _codes_once(request: HttpRequest, codes: list[str], *, new: bool = False) -> HttpResponse:
    """The only answer that ever holds them."""
    return TemplateResponse(request, "registration/recovery_codes.html", {"codes": codes, "new": new})


def _person(request: HttpRequest) -> User:
    person = request.user
    assert isinstance(person, User)
    return person


def _is_recent(request: HttpRequest) -> bool:
    age = authentication_age_s(request.session)
    return age is not None and age <= settings.STEP_UP_MAX_AGE.total_seconds()
