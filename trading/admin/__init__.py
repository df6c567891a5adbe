"""The trading pages of the admin: facts to read, intent to change through the services."""

from trading.admin import facts, intent, research

__all__ = ["facts", "intent", "research"]
