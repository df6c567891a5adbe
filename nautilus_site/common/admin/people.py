"""People and tokens. Admins see both; a new person, another role or being let in again goes through approval."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from unfold.decorators import display

from nautilus_site.common.admin.governed import GovernedAdmin, GovernedForm
from nautilus_site.common.admin.read_only import ReadOnlyAdmin
from nautilus_site.common.admin.site import may_open_admin
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import ApiToken, ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.powers import permissions_now, person_may
from nautilus_site.common.services.tokens import answers_for_people, token_revoke
from nautilus_site.common.services.users import USER_CREATE, user_deactivate

USERS_MANAGE = "users.manage"


def may_manage_users(request: HttpRequest) -> bool:
    return person_may(request.user, USERS_MANAGE)


class NewPersonForm(GovernedForm):
    """A person to propose. They choose their password themselves, once somebody has approved them."""

    class Meta:
        model = User
        fields = ("username", "email", "role")


@admin.register(User)
class UserAdmin(GovernedAdmin):
    """A new person and another role are proposed here and approved by a risk officer; switching off is immediate."""

    change_kind = "user.change"
    change_permission = USERS_MANAGE
    governed_fields = ("role", "is_active")
    list_display = ("username", "role", "is_active", "has_second_factor", "last_login", "date_joined")
    list_select_related = ("second_factor",)
    list_filter = ("role", "is_active")
    search_fields = ("username",)
    ordering = ("username",)
    fields = ("username", "role", "is_active", "has_second_factor", "last_login", "date_joined", "reason")
    readonly_fields = ("has_second_factor",)

    @display(description="second factor", boolean=True)
    def has_second_factor(self, person: User) -> bool:
        factor = getattr(person, "second_factor", None)
        return factor is not None and factor.confirmed_at is not None

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Everybody for those who answer for people; the others see themselves, as on the page."""
        people: QuerySet[User] = super().get_queryset(request)
        return (
            people
            if answers_for_people(permissions_now(request.user))
            else people.filter(pk=request.user.pk or 0)
        )

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return may_open_admin(request) and may_manage_users(request)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = self.form if obj else NewPersonForm
        return super().get_form(request, obj, change=change, **{**kwargs, "form": form})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else ("username", "email", "role", "reason")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return super().get_readonly_fields(request, obj) if obj else []

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        request.governed_outcome = None  # type: ignore[attr-defined]
        values = form.cleaned_data
        if not isinstance(request.user, User):
            raise PermissionDenied
        try:
            request.governed_outcome = change_request_create(  # type: ignore[attr-defined]
                kind=USER_CREATE,
                target=values["username"],
                payload={"role": values["role"], "email": values["email"]},
                reason=values["reason"],
                requester=request.user,
            )
        except ApplicationError as error:
            messages.error(request, error.message)
            return
        messages.success(request, "Proposed. Somebody else must approve it before the person exists.")

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The audit trail has it."""

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        created = getattr(request, "governed_outcome", None)
        if created is not None:
            return HttpResponseRedirect(reverse("admin:common_changerequest_change", args=[created.pk]))
        return HttpResponseRedirect(reverse("admin:common_user_changelist"))

    def change_target(self, obj: Any) -> str:
        return str(obj.username)

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        if payload.get("is_active") is False and isinstance(request.user, User):
            user_deactivate(username=obj.username, actor=request.user, reason=reason)
            payload = {name: value for name, value in payload.items() if name != "is_active"}
            if not payload:
                return None
        return super().propose(request, obj, payload, reason)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Tokens without their digest. Revoking only takes power away, so it needs no second person."""

    list_display = ("name", "user", "scope_list", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("revoked_at",)
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    fields = ("user", "name", "scopes", "addresses", "created_at", "expires_at", "last_used_at", "revoked_at")
    actions = ("revoke",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        tokens: QuerySet[ApiToken] = super().get_queryset(request)
        return (
            tokens
            if answers_for_people(permissions_now(request.user))
            else tokens.filter(user_id=request.user.pk or 0)
        )

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
