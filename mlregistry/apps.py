from django.apps import AppConfig
from django.db.models.signals import post_migrate

from nautilus_site.common.processes import is_read_only, takes_part


class MlRegistryConfig(AppConfig):
    name = "mlregistry"
    verbose_name = "Model registry"

    def ready(self) -> None:
        if is_read_only():
            return  # nothing is trained, promoted or placed from there
        from mlregistry import receivers
        from trading.services.schedules import by_hand_register

        if takes_part():
            from mlregistry.services import registrations

            registrations.register()
        by_hand_register(receivers.BY_HAND)
        post_migrate.connect(receivers.install_schedules, sender=self)
