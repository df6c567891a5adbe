"""The test suite: real Postgres and Valkey from the environment, fast password hashing."""

from nautilus_site.settings.base import *  # noqa: F403

SECRET_KEY = "only-for-the-test-suite-" + "x" * 32
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
CELERY_TASK_ALWAYS_EAGER = False
NOTIFY_HOSTS = ("*",)
