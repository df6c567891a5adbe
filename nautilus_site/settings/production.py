"""Behind TLS, on external Postgres and Redis. `manage.py check --deploy` is clean with these."""

from datetime import timedelta

from nautilus_site.env import SettingError
from nautilus_site.settings.base import *  # noqa: F403
from nautilus_site.settings.base import ENV, SESSION_IDLE

for _name, _value in (
    ("SECRET_KEY", ENV.secret_key),
    ("DATABASE_URL", ENV.database_url),
    ("REDIS_URL", ENV.redis_url),
    ("ALLOWED_HOSTS", ENV.allowed_hosts),
):
    if not _value:
        raise SettingError(_name, "must be set in production")
if "*" in ENV.notify_hosts:
    raise SettingError("NOTIFY_HOSTS", "must name the hosts in production, was *")

CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ENV.allowed_hosts]
SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31536000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_NAME = "__Host-sessionid"
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrftoken"
DEVICE_COOKIE_PREFIX = "__Host-device-"
CSRF_COOKIE_SECURE = True
SESSION_COOKIE_AGE = int(timedelta(hours=10).total_seconds())
REQUIRE_SECOND_FACTOR = ENV.require_second_factor is not False
SESSION_IDLE = timedelta(minutes=15) if ENV.session_idle_min is None else SESSION_IDLE
