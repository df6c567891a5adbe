from django.apps import AppConfig
from django.db.models.signals import post_migrate

from nautilus_site.common.processes import is_read_only, takes_part


class TradingConfig(AppConfig):
    name = "trading"
    verbose_name = "Trading"

    def ready(self) -> None:
        if is_read_only():
            from nautilus_site.common.collectors import register_collector
            from trading.selectors.gauges import trading_gauges

            register_collector(trading_gauges, name="trading")
            return
        from trading import receivers

        if takes_part():
            from trading.services import registrations

            registrations.register()
        post_migrate.connect(receivers.install_schedules, sender=self)
        post_migrate.connect(receivers.complete_limits, sender=self)
