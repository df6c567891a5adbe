"""Telling people: events become deliveries in the database, children of a worker send them, nobody waits for either."""

from governance.services.notifications.channels import (
    apply_channel,
    apply_channel_off,
    channel_disable_request,
    channel_effect,
    channel_enable,
    channel_mute,
    channel_off_effect,
    channel_off_snapshot,
    channel_propose,
    channel_rows,
    channel_snapshot,
    channel_test,
)
from governance.services.notifications.consuming import events_consume, notice_deliver, notice_raise
from governance.services.notifications.routes import (
    apply_route,
    route_clean,
    route_effect,
    route_rows,
    route_set,
    route_snapshot,
)
from governance.services.notifications.sending import deliveries_collect, deliveries_prune, deliveries_start

__all__ = [
    "apply_channel",
    "apply_channel_off",
    "apply_route",
    "channel_disable_request",
    "channel_effect",
    "channel_enable",
    "channel_mute",
    "channel_off_effect",
    "channel_off_snapshot",
    "channel_propose",
    "channel_rows",
    "channel_snapshot",
    "channel_test",
    "deliveries_collect",
    "deliveries_prune",
    "deliveries_start",
    "events_consume",
    "notice_deliver",
    "notice_raise",
    "route_clean",
    "route_effect",
    "route_rows",
    "route_set",
    "route_snapshot",
]
