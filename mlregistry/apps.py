from django.apps import AppConfig
from django.db.models.signals import post_migrate


class MlRegistryConfig(AppConfig):
    name = "mlregistry"
    verbose_name = "Model registry"

    def ready(self) -> None:
        from mlregistry import receivers
        from mlregistry.services import registrations

        registrations.register()
        post_migrate.connect(receivers.install_schedules, sender=self)
