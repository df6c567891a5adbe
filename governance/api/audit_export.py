"""`/audit/export`: what a search of the audit trail finds, all of it, in constant memory: as CSV, or signed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from governance.selectors.audit_page import AuditFilter, audit_bundle_rows, audit_export_pages
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import AuditEntry, AuditSeal
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_bundles import BundleHead, bundle_lines
from nautilus_site.common.services.audit_digests import GENESIS
from nautilus_site.common.services.audit_losses import audit_folder
from nautilus_site.common.services.audit_signing import Signer, SigningKeyUnusable, signer_there
from trading.api.exports import CsvRenderer, csv_download, text_download
from trading.api.filters import check_parameters
from trading.api.orders import person_of

FILTERS = ("actor", "action", "target", "text", "since", "until", "request_id")


class BundleRenderer(JSONRenderer):
    """Lets a client ask for the signed lines; what this renders itself is a problem, and that is JSON."""

    media_type = "application/x-ndjson"
    format = "bundle"


class AuditExportView(APIView):
    """The entries a search finds, newest first; itself an entry. `format=bundle` is signed, one JSON object a line."""

    required = {"GET": "audit.read"}
    renderer_classes = [JSONRenderer, CsvRenderer, BundleRenderer]

    @extend_schema(
        operation_id="audit_export",
        parameters=[
            *(OpenApiParameter(name, OpenApiTypes.STR) for name in FILTERS),
            OpenApiParameter(
                "format", OpenApiTypes.STR, enum=["csv", "bundle"], description="csv unless given"
            ),
        ],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/x-ndjson"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request) -> Any:
        check_parameters(request, {*FILTERS, "format"})
        chosen = AuditFilter.from_query(request._request.GET)
        is_bundle = isinstance(request.accepted_renderer, BundleRenderer)
        signer = _signer() if is_bundle else None
        wanted = {name: value for name, value in asdict(chosen).items() if value}
        entry = audit_record(
            action="export.audit",
            target="audit trail",
            actor=person_of(request),
            after={**wanted, **({"format": "bundle"} if is_bundle else {})},
        )
        # Up to this export: what is written while it is read belongs to the next one.
        if signer is None:
            return csv_download(request, audit_export_pages(chosen, below=entry.pk), stem="nautilus-audit")
        return text_download(
            request,
            bundle_lines(_head(entry, wanted), audit_bundle_rows(chosen, below=entry.pk), signer),
            name="nautilus-audit.jsonl",
            content_type=BundleRenderer.media_type,
        )


def _signer() -> Signer:
    try:
        signer = signer_there(audit_folder())
    except SigningKeyUnusable as error:
        raise Conflict("SIGNING_KEY_UNUSABLE", f"the signing key cannot be used: {error}") from None
    if signer is None:
        raise Conflict(
            "NO_SIGNING_KEY", "there is no signing key on this host: export as CSV, or where the relay runs"
        )
    return signer


def _head(entry: AuditEntry, wanted: dict[str, Any]) -> BundleHead:
    newest = AuditSeal.objects.order_by("-pk").values_list("pk", "hash").first()
    seal, digest = newest or (None, GENESIS)
    return BundleHead(entry.at, entry.actor_name, wanted, seal, digest)
