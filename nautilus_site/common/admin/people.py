"""People and tokens. Admins see both; what decides about power (role, being active) goes through approval."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from nautilus_site.common.admin.governed import GovernedAdmin
from nautilus_site.common.admin.read_only import ReadOnlyAdmin
from nautilus_site.common.models import ApiToken, User
from nautilus_site.common.roles import permissions_of, permits
from nautilus_site.common.services.tokens import token_revoke

USERS_MANAGE = "users.manage"


def may_manage_users(request: HttpRequest) -> bool:
    return permits(permissions_of(getattr(request.user, "role", "")), USERS_MANAGE)


@admin.register(User)
class UserAdmin(GovernedAdmin):
    """Change of role or of being active is proposed here and approved by a risk officer."""

    change_kind = "user.change"
    change_permission = USERS_MANAGE
    governed_fields = ("role", "is_active")
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "role", "is_active", "last_login", "date_joined")
    list_filter = ("role", "is_active")
    search_fields = ("username",)
    ordering = ("username",)
    fields = ("username", "role", "is_active", "last_login", "date_joined", "reason")

    def change_target(self, obj: Any) -> str:
        return str(obj.username)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Tokens without their digest. Revoking only takes power away, so it needs no second person."""

    list_display = ("name", "user", "scope_list", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("revoked_at",)
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    fields = ("user", "name", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    actions = ("revoke",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        tokens: QuerySet[ApiToken] = super().get_queryset(request)
        return tokens if may_manage_users(request) else tokens.filter(user_id=request.user.pk or 0)

    @display(description="scopes")
    def scope_list(self, token: ApiToken) -> str:
        return ", ".join(token.scopes) or "all of the role"

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.action(description="Revoke the selected tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        if not isinstance(request.user, User):
            return
        revoked = sum(token_revoke(token_id=token.pk, actor=request.user) for token in queryset)
        messages.success(request, f"{revoked} tokens revoked.")
