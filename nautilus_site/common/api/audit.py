"""`/audit` and `/audit/verify`: the trail, to be read and verified, never written."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.daemons.audit_head import AuditHead
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry
from nautilus_site.common.selectors.audit import numbered_between, of_actor
from nautilus_site.common.services.audit_chain import audit_verify_alone


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
    """`rows` are the sealed entries looked at, `unsealed` wait, `lost` seals are known to be lost."""

    ok = serializers.BooleanField()
    rows = serializers.IntegerField()
    first_bad_id = serializers.IntegerField(allow_null=True)
    problem = serializers.CharField()
    unsealed = serializers.IntegerField()
    lost = serializers.IntegerField()
    head = serializers.CharField()


class AuditVerifyView(APIView):
    """Recompute the whole chain now, against the head file. One at a time: 409 `VERIFYING` for the second."""

    required = {"GET": "audit.read"}

    @extend_schema(responses=AuditVerdictSerializer)
    def get(self, request: Request) -> Response:
        verdict = audit_verify_alone(AuditHead(settings.NAUTILUS_HOME / "audit").noted())
        return Response(AuditVerdictSerializer(verdict).data)
