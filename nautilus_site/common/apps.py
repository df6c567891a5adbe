from django.apps import AppConfig
from django.conf import settings


class CommonConfig(AppConfig):
    name = "nautilus_site.common"
    label = "common"
    verbose_name = "People, audit and events"

    def ready(self) -> None:
        from nautilus_site.common import receivers, session_places  # noqa: F401  (connect the signals)
        from nautilus_site.common.logs import configure_logging
        from nautilus_site.common.services import (  # noqa: F401  (register their appliers)
            audit_losses,
            second_factor_resets,
            users,
        )
        from nautilus_site.common.statements import keep_long_statements

        configure_logging()
        keep_long_statements()
        if settings.CRASH_POINTS:
            from nautilus_site.common.crash_points import crash_points_enable

            crash_points_enable(settings.NAUTILUS_HOME / "run" / "crash_points")
