"""Actions on registry rows: a permission, a page that asks for confirmation and a reason, one service call each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from nautilus_site.common.admin import ReadOnlyAdmin
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from nautilus_site.common.services.powers import person_may
from trading.domain.errors import DomainError


def may(request: HttpRequest, permission: str) -> bool:
    """Whether this person's role has a permission."""
    return person_may(request.user, permission)


def act_on(
    request: HttpRequest,
    objects: QuerySet[Any],
    act: Callable[[Any, User, str], str],
    *,
    permission: str,
    name: str,
    title: str,
    effect: str,
) -> HttpResponse | None:
    """Ask for confirmation and a reason, then call the service once for each object; its error becomes the message.

    Parameters
    ----------
    act : called with the object, the person and the reason; returns what was done, for the message.
    """
    if not may(request, permission) or not isinstance(request.user, User):
        raise PermissionDenied
    reason = request.POST.get("reason", "").strip()
    if request.POST.get("confirmed") != "yes" or not reason:
        context = {
            **admin.site.each_context(request),
            "title": title,
            "effect": effect,
            "objects": objects,
            "action": name,
            "asks_reason": True,
            "missing": request.POST.get("confirmed") == "yes",
        }
        return TemplateResponse(request, "admin/trading/confirm_action.html", context)
    for item in objects:
        try:
            done = act(item, request.user, reason)
        except (ApplicationError, DomainError) as error:
            messages.error(request, f"{item}: {getattr(error, 'message', error)}")
        else:
            messages.success(request, f"{item}: {done}")
    return None


class RegistryAdmin(ReadOnlyAdmin):
    """Read-only. An action is shown to whom its permission belongs: `permissions` names it."""

    permissions: dict[str, str] = {}

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {
            name: action
            for name, action in super().get_actions(request).items()
            if name in self.permissions and may(request, self.permissions[name])
        }

    @admin.display(description="page")
    def on_page(self, row: Any) -> SafeString:
        """The page that shows and governs it."""
        return format_html('<a href="/models/">{}</a>', "models")
