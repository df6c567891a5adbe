"""The trading pages of the admin: facts to read, intent to change through the services."""

from trading.admin import books, facts, intent, research

__all__ = ["books", "facts", "intent", "research"]
