"""Channels and routes in the admin: what tells less becomes a request; the delivery log is read-only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from governance.models import EventCursor, NotificationChannel, NotificationDelivery, NotificationRoute
from governance.services.notifications import (
    channel_disable_request,
    channel_enable,
    channel_test,
    route_set,
)
from nautilus_site.common.admin import ReadOnlyAdmin
from nautilus_site.common.models import ChangeRequest
from nautilus_site.common.services.powers import person_may
from trading.admin.intent import IntentAdmin, acting, request_or_none
from trading.admin.research import carried_out


def may_ask(request: HttpRequest) -> bool:
    """Whether this person may propose changes, and so test what is there."""
    return person_may(request.user, "platform.propose")


@admin.register(NotificationChannel)
class NotificationChannelAdmin(IntentAdmin):
    """Enabling is immediate, disabling is a request. Addresses are proposed through the page or the API."""

    change_permission = "platform.propose"
    governed_fields = ("is_enabled",)
    exclude = ("sealed", "claim", "claimed_until")
    list_display = ("name", "kind", "host", "is_enabled", "muted_until", "failures", "last_sent_at")
    list_filter = ("kind", "is_enabled")
    ordering = ("name",)
    actions = ("test_selected",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [name for name in super().get_readonly_fields(request, obj) if name not in self.exclude]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return super().get_actions(request) if may_ask(request) else {}

    @admin.action(description="Send a test")
    def test_selected(
        self, request: HttpRequest, queryset: QuerySet[NotificationChannel]
    ) -> HttpResponse | None:
        """Queue a test message for each channel; how it went stands in the delivery log."""
        return carried_out(
            request,
            queryset,
            lambda channel, person: channel_test(name=channel.name, actor=person),
            name="test_selected",
            title="Send a test",
            effect="Each channel gets one message that says it is a test. The delivery log says how it went.",
            may=may_ask,
        )

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        actor = acting(request, "platform.propose")
        if payload["is_enabled"]:
            channel_enable(name=obj.name, actor=actor, reason=reason)
            return None
        return channel_disable_request(name=obj.name, requester=actor, reason=reason)


@admin.register(NotificationRoute)
class NotificationRouteAdmin(IntentAdmin):
    """Telling more applies at once, telling less is a request."""

    change_permission = "platform.propose"
    governed_fields = ("severity", "digest_s", "dedupe_s", "is_enabled")
    list_display = ("channel", "kind", "severity", "digest_s", "dedupe_s", "is_enabled", "changed_by")
    list_filter = ("channel", "severity", "is_enabled")
    list_select_related = ("channel",)
    ordering = ("channel__name", "kind")

    def propose(
        self, request: HttpRequest, obj: Any, payload: dict[str, Any], reason: str
    ) -> ChangeRequest | None:
        actor = acting(request, "platform.propose")
        stored = NotificationRoute.objects.select_related("channel").get(pk=obj.pk)
        return request_or_none(
            route_set(
                channel=stored.channel.name, kind=stored.kind, values=payload, actor=actor, reason=reason
            )
        )


@admin.register(NotificationDelivery)
class NotificationDeliveryAdmin(ReadOnlyAdmin):
    """What was told, to whom, how late."""

    list_display = ("event_at", "channel", "severity", "kind", "title", "state", "attempts", "sent_at")
    list_filter = ("state", "severity", "channel")
    list_select_related = ("channel",)
    search_fields = ("=kind", "title")
    exclude = ("claim", "message")
    ordering = ("-pk",)


@admin.register(EventCursor)
class EventCursorAdmin(ReadOnlyAdmin):
    """How far the events were read."""

    list_display = ("name", "event_id", "moved_at")
