"""`/tokens`: API tokens of one's own: made in a fresh browser session, shown once, revoked at any time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common.addresses import MOST
from nautilus_site.common.api.permissions import request_permissions
from nautilus_site.common.clock import now
from nautilus_site.common.models import ApiToken, User
from nautilus_site.common.services.tokens import (
    MAXIMUM_LIFE,
    answers_for_people,
    own_token_issue,
    token_revoke_as,
)


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token by its name. Its text is in no answer but the one that made it."""

    user = serializers.CharField(source="user.username", read_only=True)
    state = serializers.SerializerMethodField()

    def get_state(self, token: ApiToken) -> str:
        if token.revoked_at is not None:
            return "revoked"
        return "expired" if token.expires_at <= now() else "valid"

    class Meta:
        model = ApiToken
        fields = (
            "id",
            "user",
            "name",
            "scopes",
            "addresses",
            "state",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
        )
        read_only_fields = fields


class TokenMadeSerializer(serializers.Serializer[Any]):
    """The answer that made it, with its text, which no other answer holds."""

    id = serializers.IntegerField()
    user = serializers.CharField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    addresses = serializers.ListField(child=serializers.CharField())
    state = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    token = serializers.CharField(help_text="shown here and never again")


class TokenRequestSerializer(serializers.Serializer[Any]):
    """`scopes` empty: all that the role may. `addresses` empty: from anywhere. `days` counts from now."""

    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(child=serializers.CharField(max_length=40), max_length=40, default=list)
    addresses = serializers.ListField(
        child=serializers.CharField(max_length=49), max_length=MOST, default=list
    )
    days = serializers.IntegerField(min_value=1, max_value=MAXIMUM_LIFE.days, default=MAXIMUM_LIFE.days)


class TokenListView(generics.ListAPIView[ApiToken]):
    """One's own tokens, newest first; everybody's for admins and risk officers. Make one of one's own."""

    required = {"GET": "read", "POST": "tokens.own"}
    person_only = {"POST"}
    serializer_class = TokenSerializer
    ordering = "-id"

    def get_queryset(self) -> Any:
        tokens = ApiToken.objects.select_related("user")
        held = request_permissions(self.request)
        return tokens if answers_for_people(held) else tokens.filter(user_id=self.request.user.pk or 0)

    @extend_schema(
        operation_id="tokens_make",
        description="No `Idempotency-Key` here: its answer would have to be kept, and the text is kept nowhere.",
        request=TokenRequestSerializer,
        responses={201: TokenMadeSerializer},
    )
    def post(self, request: Request) -> Response:
        form = TokenRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        assert isinstance(request.user, User)
        token, text = own_token_issue(
            person=request.user,
            name=form.validated_data["name"],
            scopes=form.validated_data["scopes"],
            addresses=form.validated_data["addresses"],
            life=timedelta(days=form.validated_data["days"]),
        )
        answer = Response({**TokenSerializer(token).data, "token": text}, status=201)
        answer["Cache-Control"] = "no-store"
        return answer


class TokenDetailView(APIView):
    """Revoke a token now."""

    required = {"DELETE": "tokens.own"}

    @extend_schema(operation_id="tokens_revoke", responses={200: TokenSerializer})
    def delete(self, request: Request, pk: int) -> Response:
        assert isinstance(request.user, User)
        token = token_revoke_as(token_id=pk, person=request.user, held=request_permissions(request))
        return Response(TokenSerializer(token).data)
