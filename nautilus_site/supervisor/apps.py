from django.apps import AppConfig


class SupervisorConfig(AppConfig):
    """The local process supervisor; it has no models."""

    name = "nautilus_site.supervisor"
    label = "supervisor"
