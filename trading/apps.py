from django.apps import AppConfig
from django.db.models.signals import post_migrate


class TradingConfig(AppConfig):
    name = "trading"
    verbose_name = "Trading"

    def ready(self) -> None:
        from trading import receivers
        from trading.services import registrations

        registrations.register()
        post_migrate.connect(receivers.install_schedules, sender=self)
