"""`/credentials`: exchange keys by their last four: looking at one, stopping its use, asking for another."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from trading.api.controls import validated
from trading.api.filters import check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of
from trading.selectors.credentials import (
    candidates_newest,
    credential_members,
    credential_queryset,
    key_ages_allowed,
)
from trading.serializers.credentials import (
    CredentialRequestSerializer,
    CredentialSerializer,
    KeyRevocationSerializer,
    KeyTestSerializer,
)
from trading.services.credential_changes import credential_request
from trading.services.key_revocations import key_revoke
from trading.services.key_tests import key_test_ask


def _members(rows: list[Any]) -> list[dict[str, Any]]:
    approved, limits = candidates_newest(), key_ages_allowed()
    return [credential_members(row, approved.get((row.account_id, row.purpose)), limits) for row in rows]


class CredentialListView(MembersListView):
    """Keys of every account and purpose; ask for another one, sealed at once and never shown again."""

    required = {"GET": "read", "POST": "keys.propose"}
    serializer_class = CredentialSerializer
    ordering = ("account__name", "purpose")

    def get_queryset(self) -> Any:
        return credential_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return _members(rows)

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


class KeyTestView(APIView):
    """Have a worker look at a key in use. The list tells what it found, usually within seconds."""

    required = {"POST": "keys.operate"}

    @extend_schema(
        operation_id="credentials_test", request=KeyTestSerializer, responses={202: CredentialSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(KeyTestSerializer, request)
        row = key_test_ask(credential_id=pk, last_four=values["last_four"], actor=person_of(request))
        return Response(_members([row])[0], status=202)


class KeyRevokeView(APIView):
    """Stop the use of a key at once and halt what must not go on without it; another one comes by request."""

    required = {"POST": "keys.operate"}

    @extend_schema(
        operation_id="credentials_revoke",
        request=KeyRevocationSerializer,
        responses={200: CredentialSerializer},
    )
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(KeyRevocationSerializer, request)
        row = key_revoke(
            credential_id=pk,
            last_four=values["last_four"],
            actor=person_of(request),
            reason=values["reason"],
        )
        return Response(_members([row])[0])
