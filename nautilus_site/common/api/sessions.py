"""`/sessions`: who is logged in, and ending it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.api.permissions import request_permissions
from nautilus_site.common.models import User
from nautilus_site.common.selectors.sessions import sessions_listed
from nautilus_site.common.services.session_endings import session_end, sessions_end_of
from nautilus_site.common.services.tokens import answers_for_people


class SessionSerializer(serializers.Serializer[Any]):
    """A session by a digest of its key, which is in no answer."""

    id = serializers.CharField()
    user = serializers.CharField()
    opened_at = serializers.DateTimeField(allow_null=True)
    seen_at = serializers.DateTimeField(allow_null=True)
    address = serializers.CharField()
    agent = serializers.CharField()
    ends_at = serializers.DateTimeField()
    current = serializers.BooleanField()


class SessionsSerializer(serializers.Serializer[Any]):
    """All of them on one page."""

    results = SessionSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


class SessionEndedSerializer(serializers.Serializer[Any]):
    user = serializers.CharField()
    ended = serializers.IntegerField()


class SessionEndSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)


class SessionListView(APIView):
    """One's own open sessions, newest first; everybody's for admins and risk officers. End all of one's own."""

    required = {"GET": "sessions.own", "DELETE": "sessions.own"}

    @extend_schema(operation_id="sessions_list", responses={200: SessionsSerializer})
    def get(self, request: Request) -> Response:
        assert isinstance(request.user, User)
        whose = None if answers_for_people(request_permissions(request)) else request.user
        key = getattr(getattr(request, "session", None), "session_key", None)
        rows = sessions_listed(whose, current_key=key)
        return Response({"results": SessionSerializer(rows, many=True).data, "next": None, "previous": None})

    @extend_schema(operation_id="sessions_end_own", responses={200: SessionEndedSerializer})
    def delete(self, request: Request) -> Response:
        assert isinstance(request.user, User)
        name = request.user.username
        return Response({"user": name, "ended": sessions_end_of(username=name, actor=request.user)})


class SessionDetailView(APIView):
    """End one session."""

    required = {"DELETE": "sessions.own"}

    @extend_schema(operation_id="sessions_end", responses={200: SessionEndedSerializer})
    def delete(self, request: Request, digest: str) -> Response:
        assert isinstance(request.user, User)
        ended = session_end(digest=digest, actor=request.user, held=request_permissions(request))
        return Response({"user": ended.user.username, "ended": 1})


class PersonSessionsView(APIView):
    """End every session of a person, and say why."""

    required = {"POST": "sessions.end"}

    @extend_schema(
        operation_id="people_sessions_end",
        request=SessionEndSerializer,
        responses={200: SessionEndedSerializer},
    )
    def post(self, request: Request, username: str) -> Response:
        form = SessionEndSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        assert isinstance(request.user, User)
        ended = sessions_end_of(username=username, actor=request.user, reason=form.validated_data["reason"])
        return Response({"user": username, "ended": ended})
