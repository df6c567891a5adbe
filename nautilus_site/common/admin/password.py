"""One's own password in the admin: the one page there is for it, which counts guesses and writes the audit trail."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse


def to_the_password_page(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """Instead of Django's own, on which one may guess for ever and nothing tells of the change."""
    return HttpResponseRedirect(reverse("password"))


admin.site.password_change = to_the_password_page  # type: ignore[method-assign,assignment]
admin.site.password_change_done = to_the_password_page  # type: ignore[method-assign,assignment]
