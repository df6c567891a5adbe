"""Who asks for something, and through which door."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from tests.integration.governance.two_people.world import World

API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks, and through which door: a browser, a script, a stale browser, or the service itself."""

    world: World
    name: str
    way: str = "session"

    @property
    def person(self) -> User:
        return User.objects.get(username=self.name)

    def call(self, method: str, path: str, **body: Any) -> int:
        """The status of the answer."""
        return int(self.answer(method, path, **body).status_code)

    def answer(self, method: str, path: str, **body: Any) -> Any:
        client, sent = self.world.client(self.name, self.way), json.dumps(body, default=str)
        return client.generic(method, API + path, sent, content_type="application/json")

    def serve(self, service: Callable[..., Any], **arguments: Any) -> int:
        """The service itself, past every view: 200, or the status its refusal has."""
        try:
            with transaction.atomic():
                service(**arguments)
        except ApplicationError as error:
            return error.status
        return 200

    def propose(self, kind: str, target: str, payload: dict[str, Any]) -> int:
        return self.call("POST", "/approvals", kind=kind, target=target, payload=payload, reason="r")
