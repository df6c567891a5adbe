"""People with a second factor, and the codes their app would show."""

from __future__ import annotations

import time
from typing import Any

from nautilus_site.common import totp
from nautilus_site.common.models import SecondFactor, User
from nautilus_site.common.services.second_factor_secrets import secret_open
from nautilus_site.common.services.second_factors import (
    second_factor_begin,
    second_factor_confirm,
    second_factor_pending,
)
from nautilus_site.common.sessions import SECOND_FACTOR


def enrol(user: User) -> list[str]:
    """Set one up; returns the recovery codes. The code that confirmed it was of the step before, so now's is unused."""
    begun = second_factor_begin(user=user)
    secret = second_factor_pending(user, begun)
    assert secret is not None
    code = totp.code_at(secret, totp.step_at(time.time()) - 1)
    return second_factor_confirm(user=user, begun=begun, code=code)


def secret_of(user: User) -> bytes:
    """What the person's app knows."""
    row = SecondFactor.objects.get(user=user)
    assert row.sealed is not None
    secret = secret_open(bytes(row.sealed), user_id=user.pk)
    assert secret is not None
    return secret


def code_now(user: User, *, later: int = 0) -> str:
    """What the person's app shows, `later` steps from now."""
    return totp.code_at(secret_of(user), totp.step_at(time.time()) + later)


def wrong_code(user: User) -> str:
    """Six digits that are no code of now nor of any step near."""
    near = {code_now(user, later=step) for step in range(-3, 4)}
    return next(text for number in range(10**6) if (text := f"{number:06d}") not in near)


def passed(client: Any) -> Any:
    """The client's session as if its log-in had had both steps."""
    session = client.session
    session[SECOND_FACTOR] = True
    session.save()
    return client
