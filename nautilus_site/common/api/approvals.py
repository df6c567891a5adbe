"""`/approvals`: what waits for a second person, and deciding it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.api.permissions import require_permission
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.selectors.approvals import approval_list, approvals_handed_to
from nautilus_site.common.services.appliers import applier_for
from nautilus_site.common.services.change_requests import (
    change_request_approve,
    change_request_create,
    change_request_reject,
)
from nautilus_site.common.services.hand_overs import handed_members
from trading.domain.values import decimal_text


class HandedSerializer(serializers.Serializer[Any]):
    """Who was asked to decide a request that waits; anybody else who may still can."""

    by = serializers.CharField()
    to = serializers.CharField()
    at = serializers.DateTimeField()
    note = serializers.CharField(allow_blank=True)
    holder = serializers.CharField(allow_null=True, help_text="whose it is now; null: everybody's again")
    why = serializers.CharField(allow_blank=True, help_text="why that is somebody else than who was named")


class ApprovalSerializer(serializers.ModelSerializer[ChangeRequest]):
    """The approval object every risk-raising request answers with."""

    requester = serializers.CharField(source="requester.username", read_only=True)
    approver = serializers.CharField(
        source="approver.username", read_only=True, allow_null=True, default=None
    )

    state = serializers.SerializerMethodField()
    handed_to = serializers.SerializerMethodField()

    @extend_schema_field(HandedSerializer(allow_null=True))
    def get_handed_to(self, request: ChangeRequest) -> dict[str, Any] | None:
        return handed_members(request) if self.get_state(request) == ChangeRequest.State.PENDING else None

    @extend_schema_field(serializers.ChoiceField(choices=ChangeRequest.State.choices))
    def get_state(self, request: ChangeRequest) -> str:
        # The sweep that closes overdue requests runs each second; what a person sees is right at once.
        if request.state == ChangeRequest.State.PENDING and request.expires_at <= now():
            return ChangeRequest.State.EXPIRED
        return request.state

    class Meta:
        model = ChangeRequest
        fields = (
            "id",
            "kind",
            "target",
            "state",
            "requester",
            "approver",
            "reason",
            "diff",
            "effect",
            "handed_to",
            "created_at",
            "expires_at",
        )
        read_only_fields = fields


class ApprovalRequestSerializer(serializers.Serializer[Any]):
    """A proposal by its kind. The payload is what the kind's applier understands."""

    kind = serializers.CharField(max_length=48)
    target = serializers.CharField(max_length=160)
    payload = serializers.DictField()
    reason = serializers.CharField(max_length=2000)
    expires_in_s = serializers.IntegerField(required=False, min_value=1, max_value=7 * 24 * 3600)


class ApprovalDecisionSerializer(serializers.Serializer[Any]):
    note = serializers.CharField(required=False, allow_blank=True, max_length=2000, default="")


class ApprovalFilter(filters.FilterSet):
    requester = filters.CharFilter(field_name="requester__username")
    approver = filters.CharFilter(field_name="approver__username")
    state = filters.ChoiceFilter(choices=ChangeRequest.State.choices)
    handed_to = filters.CharFilter(method="by_hand_over", help_text="who was named last")

    def by_hand_over(self, rows: Any, name: str, value: str) -> Any:
        return approvals_handed_to(rows, value)

    class Meta:
        model = ChangeRequest
        fields = ("kind", "target", "state")


def approval_response(request: ChangeRequest, status: int = 202) -> Response:
    """The answer of any endpoint that created a change request instead of acting."""
    return Response(ApprovalSerializer(request).data, status=status)


class ApprovalListView(generics.ListAPIView[ChangeRequest]):
    """List requests, newest first; propose one."""

    required = {"GET": "read", "POST": "change.request"}
    serializer_class = ApprovalSerializer
    filterset_class = ApprovalFilter
    ordering = ("-created_at", "-id")

    def get_queryset(self) -> Any:
        return approval_list()

    @extend_schema(request=ApprovalRequestSerializer, responses={202: ApprovalSerializer})
    @idempotent()
    def post(self, request: Request) -> Response:
        form = ApprovalRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        values = form.validated_data
        assert isinstance(request.user, User)
        applier = applier_for(values["kind"])
        require_permission(request, applier.permission)
        if applier.clean is None:
            # Its payload is only ever made by the route that checks it.
            raise ApplicationError(
                "OWN_ROUTE", f"a change of kind {values['kind']} is proposed by its own route"
            )
        created = change_request_create(
            kind=values["kind"],
            target=values["target"],
            payload=json_safe(values["payload"]),
            reason=values["reason"],
            requester=request.user,
            expires_in_s=values.get("expires_in_s"),
        )
        return approval_response(created)


class ApprovalDetailView(APIView):
    """One request."""

    required = {"GET": "read"}

    @extend_schema(responses=ApprovalSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        found = approval_list().filter(pk=pk).first()
        if found is None:
            raise NotFound("APPROVAL_NOT_FOUND", "no such approval")
        return Response(ApprovalSerializer(found).data)


class ApproveView(APIView):
    """Approve and apply somebody else's request. For people with a recent log-in."""

    required = {"POST": "change.decide"}

    @extend_schema(request=ApprovalDecisionSerializer, responses=ApprovalSerializer)
    @idempotent()
    def post(self, request: Request, pk: UUID) -> Response:
        note = _note(request)
        assert isinstance(request.user, User)
        return approval_response(change_request_approve(request_id=pk, approver=request.user, note=note), 200)


class RejectView(APIView):
    """Turn a request down; the requester may withdraw their own."""

    required = {"POST": "change.request"}
    person_only = {"POST"}

    @extend_schema(request=ApprovalDecisionSerializer, responses=ApprovalSerializer)
    @idempotent()
    def post(self, request: Request, pk: UUID) -> Response:
        note = _note(request)
        assert isinstance(request.user, User)
        return approval_response(change_request_reject(request_id=pk, approver=request.user, note=note), 200)


def _note(request: Request) -> str:
    form = ApprovalDecisionSerializer(data=request.data)
    form.is_valid(raise_exception=True)
    return str(form.validated_data["note"])


def json_safe(value: Any) -> Any:
    """Parsed JSON with its Decimals as text, so that it can be stored in a JSON column."""
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, dict):
        return {key: json_safe(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_safe(item) for item in value]
    return value
