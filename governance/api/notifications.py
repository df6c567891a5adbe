"""`/notifications`: who is told of what. Telling more is immediate, telling less takes a second person."""

from __future__ import annotations

from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.models import NotificationDelivery, NotificationRoute
from governance.selectors.notifications import (
    channel_members,
    channel_queryset,
    delivery_members,
    delivery_queryset,
    route_members,
    route_queryset,
)
from governance.serializers.notifications import (
    ChannelRequestSerializer,
    ChannelSerializer,
    DeliverySerializer,
    MuteSerializer,
    ReasonedSerializer,
    RouteRequestSerializer,
    RouteSerializer,
)
from governance.services.notifications import (
    channel_disable_request,
    channel_enable,
    channel_mute,
    channel_propose,
    channel_test,
    route_set,
)
from governance.services.notifications.routes import FIELDS
from nautilus_site.common.api.approvals import ApprovalSerializer, approval_response, json_safe
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.errors import NotFound
from nautilus_site.common.models import ChangeRequest
from trading.api.controls import validated
from trading.api.filters import StrictFilterSet, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of

CHANNEL_EXAMPLES = [
    OpenApiExample(
        "Telegram",
        value={
            "name": "desk",
            "kind": "telegram",
            "members": {
                "bot_token": "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc",
                "chat_ids": ["-100123"],
            },
            "reason": "the desk's group",
        },
        request_only=True,
    ),
    OpenApiExample(
        "e-mail",
        value={
            "name": "mail",
            "kind": "email",
            "members": {
                "host": "smtp.example.com",
                "sender": "nautilus@example.com",
                "recipients": ["risk@example.com"],
                "user": "nautilus",
                "password": "…",
            },
            "reason": "the risk officers' mailbox",
        },
        request_only=True,
    ),
]


class ChannelListView(MembersListView):
    """Channels; propose one, or another address of one."""

    required = {"GET": "read", "POST": "platform.propose"}
    serializer_class = ChannelSerializer
    ordering = ("name",)

    def get_queryset(self) -> Any:
        return channel_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [channel_members(row) for row in rows]

    @extend_schema(
        operation_id="notification_channels_propose",
        request=ChannelRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
        examples=CHANNEL_EXAMPLES,
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(ChannelRequestSerializer, request)
        created = channel_propose(
            name=values["name"],
            kind=values["kind"],
            members=json_safe(values["members"]),
            requester=person_of(request),
            reason=values["reason"],
            expires_in_s=values.get("expires_in_s"),
        )
        return approval_response(created)


class ChannelTestView(APIView):
    """Send one message that says it is a test; how it went stands in the delivery log."""

    required = {"POST": "platform.propose"}

    @extend_schema(
        operation_id="notification_channels_test",
        request=None,
        parameters=[OPTIONAL_KEY],
        responses={202: DeliverySerializer},
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        return Response(delivery_members(channel_test(name=name, actor=person_of(request))), status=202)


class ChannelMuteView(APIView):
    """Hold back what is not critical for a while, a day at most."""

    required = {"POST": "platform.propose"}

    @extend_schema(
        operation_id="notification_channels_mute",
        request=MuteSerializer,
        parameters=[OPTIONAL_KEY],
        responses={200: ChannelSerializer},
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(MuteSerializer, request)
        channel_mute(name=name, minutes=values["minutes"], actor=person_of(request), reason=values["reason"])
        return Response(channel_members(channel_queryset().get(name=name)))


class ChannelEnableView(APIView):
    """Let a disabled channel tell again."""

    required = {"POST": "platform.propose"}

    @extend_schema(
        operation_id="notification_channels_enable",
        request=ReasonedSerializer,
        parameters=[OPTIONAL_KEY],
        responses={200: ChannelSerializer},
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(ReasonedSerializer, request)
        channel_enable(name=name, actor=person_of(request), reason=values["reason"])
        return Response(channel_members(channel_queryset().get(name=name)))


class ChannelDisableView(APIView):
    """Ask for a channel to be silenced for good."""

    required = {"POST": "platform.propose"}

    @extend_schema(
        operation_id="notification_channels_disable",
        request=ReasonedSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: ApprovalSerializer},
    )
    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        check_parameters(request, ())
        values = validated(ReasonedSerializer, request)
        created = channel_disable_request(
            name=name,
            requester=person_of(request),
            reason=values["reason"],
            expires_in_s=values.get("expires_in_s"),
        )
        return approval_response(created)


class RouteFilter(StrictFilterSet):
    channel = filters.CharFilter(field_name="channel__name")

    class Meta:
        model = NotificationRoute
        fields = ("kind", "severity", "is_enabled")


class RouteListView(MembersListView):
    """Routes; make or change one."""

    required = {"GET": "read", "PUT": "platform.propose"}
    serializer_class = RouteSerializer
    filterset_class = RouteFilter
    ordering = ("-id",)

    def get_queryset(self) -> Any:
        return route_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [route_members(row) for row in rows]

    @extend_schema(
        operation_id="notification_routes_set",
        request=RouteRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={200: RouteSerializer, 202: ApprovalSerializer},
    )
    @idempotent()
    def put(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(RouteRequestSerializer, request)
        outcome = route_set(
            channel=values["channel"],
            kind=values["kind"],
            values={name: values[name] for name in FIELDS if name in values},
            actor=person_of(request),
            reason=values["reason"],
            expires_in_s=values.get("expires_in_s"),
        )
        if isinstance(outcome, ChangeRequest):
            return approval_response(outcome)
        return Response(route_members(outcome))


class DeliveryFilter(StrictFilterSet):
    channel = filters.CharFilter(field_name="channel__name")

    class Meta:
        model = NotificationDelivery
        fields = ("state", "kind", "severity")


class DeliveryListView(MembersListView):
    """The delivery log, newest first."""

    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter
    ordering = ("-id",)

    def get_queryset(self) -> Any:
        return delivery_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [delivery_members(row) for row in rows]


class DeliveryDetailView(APIView):
    """One delivery: how a test went."""

    required = {"GET": "read"}

    @extend_schema(operation_id="notification_deliveries_retrieve", responses=DeliverySerializer)
    def get(self, request: Request, pk: int) -> Response:
        row = delivery_queryset().filter(pk=pk).first()
        if row is None:
            raise NotFound("UNKNOWN_DELIVERY", "no such delivery")
        return Response(delivery_members(row))
