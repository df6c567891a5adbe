"""Governance in the admin."""

from governance.admin import capital, policies

__all__ = ["capital", "policies"]
