"""`/audit/export`: what a search of the audit trail finds, all of it, as CSV in constant memory."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from governance.selectors.audit_page import AuditFilter, audit_export_pages
from nautilus_site.common.services.audit import audit_record
from trading.api.exports import CsvRenderer, csv_download
from trading.api.filters import check_parameters
from trading.api.orders import person_of

FILTERS = ("actor", "action", "target", "text", "since", "until", "request_id")


class AuditExportView(APIView):
    """The entries a search finds, newest first; itself an entry."""

    required = {"GET": "audit.read"}
    renderer_classes = [JSONRenderer, CsvRenderer]

    @extend_schema(
        operation_id="audit_export",
        parameters=[OpenApiParameter(name, OpenApiTypes.STR) for name in FILTERS],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> Any:
        check_parameters(request, set(FILTERS))
        chosen = AuditFilter.from_query(request._request.GET)
        entry = audit_record(
            action="export.audit",
            target="audit trail",
            actor=person_of(request),
            after={name: value for name, value in asdict(chosen).items() if value},
        )
        # Up to this export: what is written while it is read belongs to the next one.
        answer: StreamingHttpResponse = csv_download(
            request, audit_export_pages(chosen, below=entry.pk), stem="nautilus-audit"
        )
        return answer
