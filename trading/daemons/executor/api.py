"""Placing orders over the platform's own API, the way any outside program does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import requests

TIMEOUT_S: Final = (2.0, 30.0)


class TokenRefused(Exception):
    """The platform does not accept the token: nothing more can be sent."""


class NotAnswered(Exception):
    """No usable answer; the same request may be repeated under the same key. `wait_s` where the platform says."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Answer:
    """What the platform said: 201 placed, 200 placed before, 4xx refused."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)
    replayed: bool = False


class OrderApi:
    """`POST /api/v1/orders` with a bearer token."""

    def __init__(self, base_url: str, token: str) -> None:
        self._url = f"{base_url.rstrip('/')}/api/v1/orders"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"Authorization": f"Bearer {token}", "Accept": "application/json"})

    def place(self, body: dict[str, Any], *, key: str) -> Answer:
        """Place once. Repeating it under the same key places nothing more.

        Raises
        ------
        TokenRefused, NotAnswered.
        """
        try:
            answer = self._session.post(
                self._url,
                json=body,
                headers={"Idempotency-Key": key},
                timeout=TIMEOUT_S,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise NotAnswered(type(error).__name__) from error
        told = _members(answer)
        if answer.status_code in (401, 403):
            raise TokenRefused(str(told.get("detail") or f"HTTP {answer.status_code}"))
        if answer.status_code == 429 or answer.status_code >= 500:
            wait = answer.headers.get("Retry-After", "")
            raise NotAnswered(f"HTTP {answer.status_code}", float(wait) if wait.isdigit() else None)
        return Answer(answer.status_code, told, answer.headers.get("Idempotency-Replayed") == "true")


def _members(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
