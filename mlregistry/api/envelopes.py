"""`/models/families/{name}/envelope`: what may happen to a family without a person."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlregistry.serializers import EnvelopeRequestSerializer, EnvelopeSerializer, RollbackRequestSerializer
from mlregistry.services.envelopes import envelope_close, envelope_request, family_get
from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.errors import ApplicationError
from trading.api.controls import validated
from trading.api.filters import check_parameters
from trading.api.orders import OPTIONAL_KEY, person_of


class EnvelopeView(APIView):
    """Read a family's envelope, or ask for another one."""

    required = {"GET": "read", "PUT": "models.propose"}

    @extend_schema(operation_id="models_envelope_retrieve", responses=EnvelopeSerializer)
    def get(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        family = family_get(name)
        return Response({"model": family.name, "envelope": family.envelope})

    @extend_schema(
        operation_id="models_envelope_request",
        request=EnvelopeRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
    )
    @idempotent()
    def put(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(EnvelopeRequestSerializer, request)
        if not isinstance(values["envelope"], dict):
            raise ApplicationError("INVALID_ENVELOPE", "envelope: expected an object")
        return approval_response(
            envelope_request(
                family=family_get(name),
                envelope=values["envelope"],
                reason=values["reason"],
                requester=person_of(request),
            )
        )


class EnvelopeCloseView(APIView):
    """Let nothing be promoted by itself any more, at once."""

    required = {"POST": "models.rollback"}

    @extend_schema(
        operation_id="models_envelope_close",
        request=RollbackRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses=EnvelopeSerializer,
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(RollbackRequestSerializer, request)
        family = envelope_close(family=family_get(name), actor=person_of(request), reason=values["reason"])
        return Response({"model": family.name, "envelope": family.envelope})
