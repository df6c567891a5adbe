"""`/approvals/…`: asking back, turning several down at once, and who may do what to whose requests."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import ChangeComment, User
from nautilus_site.common.selectors.approvals import approval_list, comment_list
from nautilus_site.common.selectors.duties import duties_report
from nautilus_site.common.services.change_comments import COMMENTING, change_comment_add
from nautilus_site.common.services.change_requests import change_request_reject

MOST_AT_ONCE = 50


class CommentSerializer(serializers.ModelSerializer[ChangeComment]):
    author = serializers.CharField(source="author.username", read_only=True)

    class Meta:
        model = ChangeComment
        fields = ("id", "author", "text", "at")
        read_only_fields = fields


class CommentRequestSerializer(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=ChangeComment.LONGEST)


class BulkRejectSerializer(serializers.Serializer[Any]):
    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST_AT_ONCE)
    note = serializers.CharField(max_length=2000)


class BulkOutcomeSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.CharField(allow_null=True, help_text="null: it was not decided, see code")
    code = serializers.CharField(allow_blank=True)
    message = serializers.CharField(allow_blank=True)


class DutyRoleSerializer(serializers.Serializer[Any]):
    role = serializers.CharField()
    name = serializers.CharField()
    people = serializers.ListField(child=serializers.CharField(), help_text="who is active, by user name")


class DutyKindSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    asks = serializers.ListField(child=serializers.CharField(), help_text="roles")
    decides = serializers.ListField(child=serializers.CharField(), help_text="roles")
    may_ask = serializers.IntegerField(help_text="active people")
    may_decide = serializers.IntegerField(help_text="active people")
    blocked = serializers.CharField(
        allow_blank=True, help_text="why two people could not do it now; empty: they could"
    )


class DutyDecisionsSerializer(serializers.Serializer[Any]):
    requester = serializers.CharField()
    approver = serializers.CharField()
    applied = serializers.IntegerField()
    rejected = serializers.IntegerField()
    median_s = serializers.FloatField(help_text="from the request to the decision")
    fastest_s = serializers.FloatField()


class DutiesSerializer(serializers.Serializer[Any]):
    roles = DutyRoleSerializer(many=True)
    kinds = DutyKindSerializer(many=True)
    decisions = DutyDecisionsSerializer(many=True)
    days = serializers.IntegerField(help_text="how far back decisions are counted")


class CommentListView(APIView):
    """The thread of a request, oldest first; ask back or answer while it waits."""

    required = {"GET": "read", "POST": COMMENTING}

    @extend_schema(operation_id="approvals_comments", responses=CommentSerializer(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        if not approval_list().filter(pk=pk).exists():
            raise NotFound("APPROVAL_NOT_FOUND", "no such approval")
        return Response(CommentSerializer(comment_list(pk), many=True).data)

    @extend_schema(
        operation_id="approvals_comment", request=CommentRequestSerializer, responses={201: CommentSerializer}
    )
    @idempotent()
    def post(self, request: Request, pk: UUID) -> Response:
        form = CommentRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        assert isinstance(request.user, User)
        comment = change_comment_add(request_id=pk, author=request.user, text=form.validated_data["text"])
        return Response(CommentSerializer(comment).data, status=201)


class BulkRejectView(APIView):
    """Turn several requests down for one reason: each is a decision of its own, and what cannot be decided says so."""

    required = {"POST": "change.request"}
    person_only = {"POST"}

    @extend_schema(
        operation_id="approvals_reject_several",
        request=BulkRejectSerializer,
        responses=BulkOutcomeSerializer(many=True),
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        form = BulkRejectSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        assert isinstance(request.user, User)
        chosen = dict.fromkeys(form.validated_data["ids"])
        return Response([_rejected(pk, request.user, form.validated_data["note"]) for pk in chosen])


class DutiesView(APIView):
    """Per kind who may ask and decide, which nobody could decide now, and who decided whose requests lately."""

    required = {"GET": "audit.read"}

    @extend_schema(operation_id="approvals_duties", responses=DutiesSerializer)
    def get(self, request: Request) -> Response:
        return Response(duties_report())


def _rejected(pk: UUID, person: User, note: str) -> dict[str, Any]:
    try:
        state = change_request_reject(request_id=pk, approver=person, note=note).state
    except ApplicationError as error:
        return {"id": str(pk), "state": None, "code": error.code, "message": error.message}
    return {"id": str(pk), "state": state, "code": "", "message": ""}
