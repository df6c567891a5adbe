"""`executor` under the name it had in the earlier system."""

from trading.management.commands.executor import Command

__all__ = ["Command"]
