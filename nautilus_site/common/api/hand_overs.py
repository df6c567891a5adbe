"""`/approvals/…/hand-over` and `/absences`: who should look at what waits. None of it lets anybody do more."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.approval_threads import MOST_AT_ONCE
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import Absence, ChangeHandOver, User
from nautilus_site.common.selectors.absences import absence_list
from nautilus_site.common.selectors.approvals import approval_list
from nautilus_site.common.services.absences import absence_end, absence_set
from nautilus_site.common.services.hand_overs import HANDING, change_request_hand_over, hand_overs_of


class HandOverSerializer(serializers.ModelSerializer[ChangeHandOver]):
    by = serializers.CharField(source="giver.username", read_only=True)
    to = serializers.CharField(
        source="receiver.username", read_only=True, allow_null=True, default=None, help_text="null: everybody"
    )

    class Meta:
        model = ChangeHandOver
        fields = ("id", "by", "to", "note", "at")
        read_only_fields = fields


class HandOverRequestSerializer(serializers.Serializer[Any]):
    to = serializers.CharField(
        max_length=150, allow_null=True, help_text="a user name; null: back to everybody"
    )
    note = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=ChangeHandOver.LONGEST
    )


class BulkHandOverSerializer(HandOverRequestSerializer):
    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST_AT_ONCE)


class BulkHandedSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    handed = serializers.BooleanField()
    code = serializers.CharField(allow_blank=True)
    message = serializers.CharField(allow_blank=True)


class AbsenceSerializer(serializers.ModelSerializer[Absence]):
    person = serializers.CharField(source="user.username", read_only=True)
    stand_in = serializers.CharField(
        source="stand_in.username", read_only=True, allow_null=True, default=None
    )

    class Meta:
        model = Absence
        fields = ("person", "until", "stand_in", "said_at")
        read_only_fields = fields


class AbsenceRequestSerializer(serializers.Serializer[Any]):
    until = serializers.DateTimeField(help_text="with its zone; 90 days from now at most")
    stand_in = serializers.CharField(
        max_length=150, required=False, allow_null=True, default=None, help_text="a user name"
    )


class HandOverView(APIView):
    """Who a request was handed to so far, oldest first; put it into somebody's hands, or give it back to everybody."""

    required = {"GET": "read", "POST": HANDING}
    session_only = {"POST"}

    @extend_schema(operation_id="approvals_hand_overs", responses=HandOverSerializer(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        if not approval_list().filter(pk=pk).exists():
            raise NotFound("APPROVAL_NOT_FOUND", "no such approval")
        return Response(HandOverSerializer(hand_overs_of([pk]), many=True).data)

    @extend_schema(
        operation_id="approvals_hand_over",
        request=HandOverRequestSerializer,
        responses={201: HandOverSerializer},
    )
    @idempotent()
    def post(self, request: Request, pk: UUID) -> Response:
        form = HandOverRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        values = form.validated_data
        row = change_request_hand_over(
            request_id=pk, giver=_person(request), receiver=values["to"], note=values["note"]
        )
        return Response(HandOverSerializer(row).data, status=201)


class BulkHandOverView(APIView):
    """Hand several requests to one person: each on its own, and what cannot be handed over says so."""

    required = {"POST": HANDING}
    session_only = {"POST"}

    @extend_schema(
        operation_id="approvals_hand_over_several",
        request=BulkHandOverSerializer,
        responses=BulkHandedSerializer(many=True),
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        form = BulkHandOverSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        values, giver = form.validated_data, _person(request)
        chosen = dict.fromkeys(values["ids"])
        return Response([_handed(pk, giver, values["to"], values["note"]) for pk in chosen])


class AbsenceListView(APIView):
    """Who is away now, until when, and who stands in for them."""

    required = {"GET": "read"}

    @extend_schema(operation_id="absences", responses=AbsenceSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(AbsenceSerializer(absence_list(), many=True).data)


class OwnAbsenceView(APIView):
    """Say that one is away, or back: what is handed to oneself is somebody else's meanwhile."""

    required = {"PUT": HANDING, "DELETE": HANDING}
    session_only = {"PUT", "DELETE"}

    @extend_schema(operation_id="absences_own", request=AbsenceRequestSerializer, responses=AbsenceSerializer)
    @idempotent()
    def put(self, request: Request) -> Response:
        form = AbsenceRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        values = form.validated_data
        row = absence_set(person=_person(request), until=values["until"], stand_in=values["stand_in"])
        return Response(AbsenceSerializer(row).data)

    @extend_schema(operation_id="absences_own_end", responses={204: None})
    @idempotent()
    def delete(self, request: Request) -> Response:
        absence_end(person=_person(request))
        return Response(status=204)


def _person(request: Request) -> User:
    assert isinstance(request.user, User)
    return request.user


def _handed(pk: UUID, giver: User, receiver: str | None, note: str) -> dict[str, Any]:
    try:
        change_request_hand_over(request_id=pk, giver=giver, receiver=receiver, note=note)
    except ApplicationError as error:
        return {"id": str(pk), "handed": False, "code": error.code, "message": error.message}
    return {"id": str(pk), "handed": True, "code": "", "message": ""}
