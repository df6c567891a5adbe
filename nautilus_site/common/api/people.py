"""`/people/NAME/...`: the two halves of an invitation, and switching a person off. New people come by request."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.models import Invitation, User
from nautilus_site.common.services.invitations import invitation_code, invitation_link
from nautilus_site.common.services.users import user_deactivate


class LinkSerializer(serializers.Serializer[Any]):
    """Shown in this answer and never again."""

    username = serializers.CharField()
    link = serializers.CharField()
    expires_at = serializers.DateTimeField()


class CodeSerializer(serializers.Serializer[Any]):
    """Shown in this answer and never again."""

    username = serializers.CharField()
    code = serializers.CharField()
    expires_at = serializers.DateTimeField()


class DeactivationSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)


class DeactivatedSerializer(serializers.Serializer[Any]):
    username = serializers.CharField()
    is_active = serializers.BooleanField()


def _once(members: dict[str, Any]) -> Response:
    answer = Response(members, status=201)
    answer["Cache-Control"] = "no-store"
    return answer


class LinkView(APIView):
    """Make the link by which a new person chooses a password; with the code of somebody else it works once."""

    required = {"POST": "users.manage"}
    person_only = {"POST"}

    @extend_schema(operation_id="people_link", request=None, responses={201: LinkSerializer})
    def post(self, request: Request, username: str) -> Response:
        assert isinstance(request.user, User)
        text = invitation_link(username=username, actor=request.user)
        # After the hash: a browser sends that to nobody, so it is in no log.
        link = request.build_absolute_uri(f"{reverse('welcome')}#{text}")
        ends = Invitation.objects.get(user__username=username).link_expires_at
        return _once({"username": username, "link": link, "expires_at": ends})


class CodeView(APIView):
    """Make the code a new person needs beside the link of an admin."""

    required = {"POST": "change.decide"}

    @extend_schema(operation_id="people_code", request=None, responses={201: CodeSerializer})
    def post(self, request: Request, username: str) -> Response:
        assert isinstance(request.user, User)
        text = invitation_code(username=username, actor=request.user)
        ends = Invitation.objects.get(user__username=username).code_expires_at
        return _once({"username": username, "code": text, "expires_at": ends})


class DeactivateView(APIView):
    """Switch a person off at once; on again is a change request (`user.change`)."""

    required = {"POST": "users.manage"}

    @extend_schema(
        operation_id="people_deactivate",
        request=DeactivationSerializer,
        responses={200: DeactivatedSerializer},
    )
    def post(self, request: Request, username: str) -> Response:
        form = DeactivationSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        assert isinstance(request.user, User)
        user = user_deactivate(username=username, actor=request.user, reason=form.validated_data["reason"])
        return Response({"username": user.username, "is_active": user.is_active})
