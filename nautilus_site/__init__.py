"""The composition root. Importing it binds shared tasks to our Celery application in every process."""

from nautilus_site.celery import app as celery_app

__all__ = ["celery_app"]
