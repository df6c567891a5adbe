"""The ASGI entry point: HTTP to Django, `/ws/live/` to the live consumer."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus_site.settings.local")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from nautilus_site.celery import app as celery_app  # noqa: E402, F401  (shared tasks bind to it)
from nautilus_site.common.live.consumer import LiveConsumer  # noqa: E402
from nautilus_site.common.live.handshake import LiveHandshake  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": LiveHandshake(URLRouter([path("ws/live/", LiveConsumer.as_asgi())])),
    }
)
