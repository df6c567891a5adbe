"""`/audit` and `/audit/verify`: the trail, to be read and verified, never written."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import AuditEntry, AuditVerification, User
from nautilus_site.common.selectors.audit import numbered_between, of_actor
from nautilus_site.common.services.audit_losses import audit_verified_now
from nautilus_site.common.services.audit_verifications import verification_nudge, verification_start


class AuditEntrySerializer(serializers.ModelSerializer[AuditEntry]):
    """One entry. `actor` is a person's name, or that of the process that acted by itself."""

    actor = serializers.CharField(source="actor_name", read_only=True)

    class Meta:
        model = AuditEntry
        fields = ("id", "at", "actor", "action", "target", "reason", "before", "after", "request_id")
        read_only_fields = fields


class AuditFilter(filters.FilterSet):
    """By field name; a time is turned into entry numbers first, since times have no index."""

    actor = filters.CharFilter(method="of_actor")
    since = filters.IsoDateTimeFilter(method="from_moment")
    until = filters.IsoDateTimeFilter(method="to_moment")

    class Meta:
        model = AuditEntry
        fields = ("action", "target", "request_id")

    def is_valid(self) -> bool:
        unknown = sorted(set(self.data) - {*self.filters, "cursor", "limit", "ordering"})
        if unknown:
            raise ApplicationError("UNKNOWN_FILTER", f"{unknown[0][:40]}: no such filter")
        return bool(super().is_valid())

    def of_actor(self, entries: Any, name: str, value: str) -> Any:
        return of_actor(entries, value)

    def from_moment(self, entries: Any, name: str, value: datetime) -> Any:
        return entries.filter(pk__gte=numbered_between(value, None)[0], at__gte=value)

    def to_moment(self, entries: Any, name: str, value: datetime) -> Any:
        return entries.filter(pk__lt=numbered_between(None, value)[1], at__lt=value)


class AuditListView(generics.ListAPIView[AuditEntry]):
    """Entries of the audit trail, newest first."""

    required = {"GET": "audit.read"}
    serializer_class = AuditEntrySerializer
    filterset_class = AuditFilter
    ordering = "-id"

    queryset = AuditEntry.objects.all()


class AuditVerdictSerializer(serializers.Serializer[Any]):
    """`rows` are the sealed entries looked at, `unsealed` wait, `lost` seals are lost, as `accepted` says."""

    ok = serializers.BooleanField()
    rows = serializers.IntegerField()
    first_bad_id = serializers.IntegerField(allow_null=True)
    problem = serializers.CharField()
    unsealed = serializers.IntegerField()
    lost = serializers.IntegerField()
    accepted = serializers.ListField(child=serializers.CharField())
    head = serializers.CharField()


class AuditVerifyView(APIView):
    """Recompute the whole chain now, against the head file. One at a time: 409 `VERIFYING` for the second."""

    required = {"GET": "audit.read"}

    @extend_schema(responses=AuditVerdictSerializer)
    def get(self, request: Request) -> Response:
        return Response(AuditVerdictSerializer(audit_verified_now()).data)


class VerificationSerializer(serializers.ModelSerializer[AuditVerification]):
    """A verification as a job: `rows` of `total` entries so far, and what was found."""

    requested_by = serializers.CharField(source="requested_by.username", read_only=True, default=None)
    progress = serializers.SerializerMethodField()

    def get_progress(self, row: AuditVerification) -> float:
        if row.state != AuditVerification.State.RUNNING:
            return 1.0
        return round(min(row.rows / row.total, 1.0), 4) if row.total else 0.0

    class Meta:
        model = AuditVerification
        fields = (
            *(
                "id",
                "state",
                "progress",
                "rows",
                "total",
                "first_bad_id",
                "problem",
                "unsealed",
                "lost",
                "head",
            ),
            *("requested_by", "requested_at", "stepped_at", "finished_at"),
        )
        read_only_fields = fields


class VerificationListView(generics.ListAPIView[AuditVerification]):
    """Verifications of the whole trail, newest first; begin one. While one runs, that one is the answer."""

    required = {"GET": "audit.read", "POST": "audit.read"}
    serializer_class = VerificationSerializer
    ordering = "-id"
    queryset = AuditVerification.objects.select_related("requested_by")

    @extend_schema(
        operation_id="audit_verifications_start", request=None, responses={202: VerificationSerializer}
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        assert isinstance(request.user, User)
        return Response(VerificationSerializer(verification_start(actor=request.user)).data, status=202)


class VerificationDetailView(APIView):
    """How far one is, or what it found."""

    required = {"GET": "audit.read"}

    @extend_schema(operation_id="audit_verification", responses=VerificationSerializer)
    def get(self, request: Request, pk: int) -> Response:
        row = AuditVerification.objects.select_related("requested_by").filter(pk=pk).first()
        if row is None:
            raise NotFound("VERIFICATION_NOT_FOUND", "no such verification")
        return Response(VerificationSerializer(verification_nudge(row)).data)
