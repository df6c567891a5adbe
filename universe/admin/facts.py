"""Facts come from the venue: the admin shows them and changes none."""

from __future__ import annotations

from nautilus_site.common.admin import ReadOnlyAdmin


class FactAdmin(ReadOnlyAdmin):
    """Read-only for everybody who may open the admin."""
