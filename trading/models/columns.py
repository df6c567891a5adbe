"""Column types for money. 28 digits match Decimal's default context: what is read back is never rounded."""

from typing import Any

from django.db import models


def money(**options: Any) -> "models.DecimalField[Any, Any]":
    """Prices, quantities, notionals: 28 digits, 10 after the point."""
    return models.DecimalField(max_digits=28, decimal_places=10, **options)


def ledger_amount(**options: Any) -> "models.DecimalField[Any, Any]":
    """Ledger amounts: 38 digits, 18 after the point."""
    return models.DecimalField(max_digits=38, decimal_places=18, **options)
