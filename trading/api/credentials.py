"""`/credentials`: exchange keys by their last four, and asking for another one."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from trading.api.controls import validated
from trading.api.filters import check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of
from trading.selectors.credentials import candidates_newest, credential_members, credential_queryset
from trading.serializers.credentials import CredentialRequestSerializer, CredentialSerializer
from trading.services.credential_changes import credential_request


class CredentialListView(MembersListView):
    """Keys of every account and purpose; ask for another one, sealed at once and never shown again."""

    required = {"GET": "read", "POST": "keys.propose"}
    serializer_class = CredentialSerializer
    ordering = ("account__name", "purpose")

    def get_queryset(self) -> Any:
        return credential_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        approved = candidates_newest()
        return [credential_members(row, approved.get((row.account_id, row.purpose))) for row in rows]

    @extend_schema(
        operation_id="credentials_propose",
        request=CredentialRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(CredentialRequestSerializer, request)
        return approval_response(
            credential_request(
                account=values["account"],
                purpose=values["purpose"],
                api_key=values["api_key"],
                api_secret=values["api_secret"],
                requester=person_of(request),
                reason=values["reason"],
                expires_in_s=values.get("expires_in_s"),
            )
        )
