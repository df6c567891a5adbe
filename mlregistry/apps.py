from django.apps import AppConfig


class MlRegistryConfig(AppConfig):
    name = "mlregistry"
    verbose_name = "Model registry"

    def ready(self) -> None:
        from mlregistry.services import registrations

        registrations.register()
