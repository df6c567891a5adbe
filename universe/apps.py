from django.apps import AppConfig


class UniverseConfig(AppConfig):
    name = "universe"
    verbose_name = "Instruments and market data"
