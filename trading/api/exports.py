"""`/fills/export` and `/ledger/export`: CSV, as many rows as there are, in constant memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from trading.api.filters import check_parameters, moment_of
from trading.api.orders import person_of
from trading.selectors.accounts import account_get
from trading.selectors.exports import export_pages


class CsvRenderer(JSONRenderer):
    """Lets a client ask for text/csv; what this renders itself is a problem, and that is JSON."""

    media_type = "text/csv"
    format = "csv"


def _schema(operation_id: str) -> Any:
    return extend_schema(
        operation_id=operation_id,
        parameters=[
            OpenApiParameter("account", OpenApiTypes.STR, description="only this account"),
            OpenApiParameter("since", OpenApiTypes.DATETIME, description="from this time on"),
            OpenApiParameter(
                "until", OpenApiTypes.DATETIME, description="before this time; now unless given"
            ),
        ],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )


def csv_download(request: Request, pages: Iterator[str], *, stem: str) -> StreamingHttpResponse:
    """An answer that sends pages of CSV as they are read, under a file name."""
    return text_download(request, pages, name=f"{stem}.csv", content_type="text/csv")


def text_download(
    request: Request, pages: Iterator[str], *, name: str, content_type: str
) -> StreamingHttpResponse:
    """An answer that sends pages of text as they are read, under a file name."""
    # Under ASGI a plain iterator would be read to its end before the first byte is sent.
    asynchronous = isinstance(request._request, ASGIRequest)
    response = StreamingHttpResponse(_in_turn(pages) if asynchronous else pages, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


class ExportView(APIView):
    """One table as a download."""

    required = {"GET": "read"}
    renderer_classes = [JSONRenderer, CsvRenderer]
    table = ""

    def download(self, request: Request) -> StreamingHttpResponse:
        """Answer with the table."""
        check_parameters(request, {"account", "since", "until"})
        name = request.query_params.get("account")
        account = None if name is None else account_get(name).name
        since, until = moment_of(request, "since"), moment_of(request, "until") or now()
        audit_record(
            action=f"export.{self.table}",
            target=account or "every account",
            actor=person_of(request),
            after={"since": since and since.isoformat(), "until": until.isoformat()},
        )
        pages = export_pages(self.table, account=account, since=since, until=until)
        return csv_download(request, pages, stem="-".join(filter(None, ["nautilus", account, self.table])))


class FillExportView(ExportView):
    """Fills, oldest first."""

    table = "fills"

    @_schema("fills_export")
    def get(self, request: Request) -> StreamingHttpResponse:
        return self.download(request)


class LedgerExportView(ExportView):
    """Ledger entries, oldest first."""

    table = "ledger"

    @_schema("ledger_export")
    def get(self, request: Request) -> StreamingHttpResponse:
        return self.download(request)


async def _in_turn(pages: Iterator[str]) -> AsyncIterator[str]:
    while (page := await sync_to_async(_next)(pages)) is not None:
        yield page


def _next(pages: Iterator[str]) -> Any:
    return next(pages, None)
