"""Who may raise a level: most people any, a model owner that of their own models."""

from __future__ import annotations

from collections.abc import Collection

from nautilus_site.common.errors import Forbidden
from nautilus_site.common.models import User
from nautilus_site.common.roles import permits
from nautilus_site.common.services.powers import permissions_now
from trading.services.models import owns_model

ANY_SCOPE, OWN_MODEL = "kill.raise", "kill.raise:own_model"


def check_may_raise(person: User, scope: str, held: Collection[str] | None = None) -> None:
    """Refuse a raise that is not this person's to make. `held` is what their credentials allow, else their role.

    Whoever may stop anything is let through without a read of the database.

    Raises
    ------
    Forbidden : PERMISSION_DENIED, OWN_MODEL_ONLY.
    """
    held = permissions_now(person) if held is None else held
    if permits(held, ANY_SCOPE):
        return
    if not permits(held, OWN_MODEL):
        raise Forbidden(
            "PERMISSION_DENIED", f"you lack the permission {ANY_SCOPE}", extra={"permission": ANY_SCOPE}
        )
    kind, _, name = scope.partition(":")
    if kind != "model" or not owns_model(person, name):
        raise Forbidden(
            "OWN_MODEL_ONLY",
            f"you may stop models that you had trained or registered, as model:FAMILY@NUMBER; {scope} is none of "
            "these: ask a trader, a risk officer or an admin",
            extra={"permission": ANY_SCOPE},
        )
