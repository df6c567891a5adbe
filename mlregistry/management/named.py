"""What the arguments of `manage.py models` stand for."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from mlregistry.models import ModelVersion
from mlregistry.selectors.versions import version_queryset
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User


def member(text: str) -> tuple[str, Any]:
    """`NAME=VALUE`, the value as JSON where it is some."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, was {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def rule(text: str) -> tuple[str, float]:
    """`NAME=NUMBER`."""
    name, _, number = text.partition("=")
    try:
        return name, int(number) if number.isdigit() else float(number)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected NAME=NUMBER, was {text!r}") from None


def version_named(text: str) -> tuple[str, int]:
    """`FAMILY@NUMBER`."""
    family, _, number = text.rpartition("@")
    if not family or not number.isdigit():
        raise argparse.ArgumentTypeError(f"expected FAMILY@NUMBER, was {text!r}")
    return family, int(number)


def version_of(named: tuple[str, int]) -> ModelVersion:
    """The version of that name.

    Raises
    ------
    ApplicationError : UNKNOWN_MODEL.
    """
    version = version_queryset().filter(family__name=named[0], number=named[1]).first()
    if version is None:
        raise ApplicationError("UNKNOWN_MODEL", f"no version {named[0]}@{named[1]} is registered")
    return version


def person_of(name: str) -> User:
    """The active user of that name.

    Raises
    ------
    ApplicationError : UNKNOWN_USER.
    """
    person = User.objects.filter(username=name, is_active=True).first()
    if person is None:
        raise ApplicationError("UNKNOWN_USER", f"nobody is called {name!r}")
    return person


def moment(text: str) -> datetime:
    """ISO 8601; UTC where no time zone is said."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected ISO 8601, e.g. 2026-11-01T12:00:00Z, was {text!r}"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def counts(text: str) -> list[int | None]:
    """Whole numbers separated by commas; `auto` among them is None."""
    try:
        return [None if one == "auto" else int(one) for one in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers like 2,3 or auto, was {text!r}") from None
