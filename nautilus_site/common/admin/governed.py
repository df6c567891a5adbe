"""Governed objects in the admin: saving the form proposes the change, it does not make it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from unfold.widgets import UnfoldAdminTextareaWidget

from nautilus_site.common.admin.read_only import ReadOnlyAdmin
from nautilus_site.common.admin.site import may_open_admin
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.powers import person_may
from trading.domain.values import decimal_text


class GovernedForm(forms.ModelForm):  # type: ignore[type-arg]
    """Adds the reason every governed change needs."""

    reason = forms.CharField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Why; the second person and the audit trail see it.",
    )


class GovernedAdmin(ReadOnlyAdmin):
    """Set `change_kind` (a registered applier) and `governed_fields`; every other field is read-only.

    Override `propose` where a change may act at once (it tightens) or where the target's name is not its
    primary key. The object itself is never saved from the form.
    """

    form = GovernedForm
    change_form_before_template = "admin/governed_notice.html"
    change_kind = ""
    change_permission = "risk.propose"
    governed_fields: tuple[str, ...] = ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_open_admin(request) and person_may(request.user, self.change_permission)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        own = [field.name for field in self.model._meta.fields]
        return [*self.readonly_fields, *(name for name in own if name not in self.governed_fields)]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """One button: what is saved is a request, so there is nothing to go on editing, and no other to add."""
        context |= {"show_save_and_continue": False, "show_save_and_add_another": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def change_target(self, obj: Model) -> str:
        """The name the applier knows the object by."""
        return str(obj.pk)

    def propose(
        self, request: HttpRequest, obj: Model, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        """Create the change request. None when the change was carried out at once instead."""
        if not isinstance(request.user, User):
            raise PermissionDenied
        return change_request_create(
            kind=self.change_kind,
            target=self.change_target(obj),
            payload=payload,
            reason=reason,
            requester=request.user,
        )

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        payload = {
            name: _plain(form.cleaned_data[name])
            for name in form.changed_data
            if name in self.governed_fields
        }
        request.governed_outcome = None  # type: ignore[attr-defined]
        if not payload:
            messages.info(request, "Nothing was changed.")
            return
        try:
            created = self.propose(request, obj, payload, form.cleaned_data["reason"])
        except ApplicationError as error:
            messages.error(request, error.message)
            return
        if created is None:
            messages.success(request, "The change is in force.")
            return
        request.governed_outcome = created  # type: ignore[attr-defined]
        messages.success(request, "Proposed. Somebody else must approve it before it takes effect.")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Related rows are not edited here either."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Django's own log would claim a change was made; the change request and its audit rows tell the
        truth.
        """

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        created = getattr(request, "governed_outcome", None)
        if created is not None:
            return HttpResponseRedirect(reverse("admin:common_changerequest_change", args=[created.pk]))
        meta = self.model._meta
        return HttpResponseRedirect(
            reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, Model):
        return value.pk
    if value is None or isinstance(value, bool | int | str | list | dict):
        return value
    return str(value)
