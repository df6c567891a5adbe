"""Policies: the form of one proposes a new version of its document, it never edits one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from governance.domain.policies.located import DocumentError, node_of
from governance.models import Policy, PolicyActivation, PolicyVersion
from governance.services.policies import invalid, policy_change, policy_loosened, policy_read
from nautilus_site.common.admin import GovernedAdmin
from nautilus_site.common.admin.governed import GovernedForm
from nautilus_site.common.admin.read_only import ReadOnlyAdmin
from nautilus_site.common.errors import Forbidden
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.powers import person_may


class PolicyForm(GovernedForm):
    """The document in force, to be changed as a whole."""

    document = forms.JSONField(
        widget=forms.Textarea(attrs={"rows": 40, "class": "font-mono"}),
        help_text="What allows no more than before is in force at once; anything else waits for a second person.",
    )

    class Meta:
        model = Policy
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.active is not None:
            self.fields["document"].initial = self.instance.active.document


@admin.register(Policy)
class PolicyAdmin(GovernedAdmin):
    form = PolicyForm
    change_kind = "policy.activate"
    governed_fields = ("document",)
    fields = ("name", "active", "document", "reason")
    list_display = ("name", "active")
    list_select_related = ("active",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name", "active"]

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        if not isinstance(request.user, User):
            raise PermissionDenied
        try:
            node = node_of(payload["document"])
        except DocumentError as error:
            raise invalid(error) from None
        policy = Policy.objects.select_related("active").get(pk=obj.pk)
        loosens = policy.active is None or policy_loosened(policy.active, policy_read(policy.name, node))
        wanted = "risk.propose" if loosens else "limits.tighten"
        if not person_may(request.user, wanted):
            raise Forbidden("PERMISSION_DENIED", f"your role lacks the permission {wanted}")
        outcome = policy_change(name=policy.name, node=node, actor=request.user, reason=reason)
        return outcome if isinstance(outcome, ChangeRequest) else None


@admin.register(PolicyVersion)
class PolicyVersionAdmin(ReadOnlyAdmin):
    list_display = ("policy", "number", "digest", "reason", "created_by", "created_at")
    list_filter = ("policy",)
    list_select_related = ("policy", "created_by")
    ordering = ("-id",)


@admin.register(PolicyActivation)
class PolicyActivationAdmin(ReadOnlyAdmin):
    list_display = ("at", "policy", "version", "before", "by", "reason")
    list_filter = ("policy",)
    list_select_related = ("policy", "version", "before")
    ordering = ("-id",)
