"""Who may open the admin, and the banner that says which venue this is."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from nautilus_site.common.models import Role, User
from nautilus_site.common.services.powers import role_now

LABELS = {"local": "info", "testnet": "warning", "demo": "warning", "live": "danger"}


def environment_label(request: HttpRequest) -> list[str]:
    """Unfold's environment badge: the name and its colour."""
    return [settings.BINANCE_ENV.upper(), LABELS[settings.BINANCE_ENV]]


def may_open_admin(request: HttpRequest) -> bool:
    """Every role but viewer. `is_superuser` opens nothing: the role decides."""
    user: Any = request.user
    return isinstance(user, User) and user.is_active and role_now(user) != Role.VIEWER


# Apps register on the default site, so its rule is replaced rather than the site.
admin.site.has_permission = may_open_admin  # type: ignore[method-assign]


def log_in(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """The admin has no log-in of its own: the one there is asks for the second factor, too."""
    index = reverse("admin:index")
    if request.method == "GET" and may_open_admin(request):
        return HttpResponseRedirect(index)
    return redirect_to_login(request.GET.get(REDIRECT_FIELD_NAME) or index, settings.LOGIN_URL)


admin.site.login = log_in  # type: ignore[method-assign]
