from django.apps import AppConfig


class MlRegistryConfig(AppConfig):
    name = "mlregistry"
    verbose_name = "Model registry"
