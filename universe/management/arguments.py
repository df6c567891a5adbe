"""What commands read from the command line alike."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime


def time_argument(text: str) -> datetime:
    """Return an aware time; UTC where no zone is named."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected YYYY-MM-DD or YYYY-MM-DDTHH:MM, was {text!r}") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
