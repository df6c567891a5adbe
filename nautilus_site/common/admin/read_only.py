"""Facts in the admin: everybody who may open it can look, nobody can change."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from nautilus_site.common.admin.filters import bounded
from nautilus_site.common.admin.lookups import DeclaredLookups
from nautilus_site.common.admin.site import may_open_admin
from nautilus_site.common.services.powers import person_may


class ReadOnlyAdmin(DeclaredLookups):
    """For orders, fills, audit rows. `view_permission` names the permission needed to look."""

    view_permission = "read"
    list_per_page = 50
    show_full_result_count = False  # no COUNT(*) over millions of rows

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return bounded(self.model, super().get_list_filter(request))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_open_admin(request) and person_may(request.user, self.view_permission)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
