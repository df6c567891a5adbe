from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "nautilus_site.common"
    label = "common"
    verbose_name = "People, audit and events"

    def ready(self) -> None:
        from nautilus_site.common import receivers  # noqa: F401  (connects the signals)
        from nautilus_site.common.logs import configure_logging
        from nautilus_site.common.services import users  # noqa: F401  (registers its applier)

        configure_logging()
