"""Governance in the admin."""

from governance.admin import capital, notifications, playbooks, policies, schedules

__all__ = ["capital", "notifications", "playbooks", "policies", "schedules"]
