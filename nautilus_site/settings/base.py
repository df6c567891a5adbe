"""What every way of running shares. Safe by default: trading off, venue local, nothing open."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from nautilus_site.env import Environment, RedisUrls, database_config

ENV = Environment.read()
BASE_DIR = Path(__file__).resolve().parent.parent.parent

NAUTILUS_HOME = ENV.home
BINANCE_ENV = ENV.binance_env
TESTNET_URL = ENV.testnet_url or f"http://127.0.0.1:{ENV.testnet_port}"
EXPORTER_PORT = ENV.exporter_port
BIND = ENV.bind
PORT = ENV.port
TRUSTED_PROXIES = ENV.trusted_proxies
WALL_TIME_RAILS = ENV.wall_time_rails
CRASH_POINTS = ENV.crash_points
REPLAY = ENV.replay
TRAINING_SLOTS = ENV.training_slots
NOTIFY_PRIVATE_HOSTS = ENV.notify_private_hosts
# Whoever names no host gets the three services that are nobody's own machine.
NOTIFY_HOSTS = ENV.notify_hosts or ("hooks.slack.com", "api.telegram.org", "discord.com")
NOTIFY_PORTS = ENV.notify_ports
NOTIFY_PROXY = ENV.notify_proxy
PUBLIC_URL = ENV.public_url or f"http://{ENV.bind}:{ENV.port}"

SECRET_KEY = ENV.secret_key
DEBUG = False
ALLOWED_HOSTS = list(ENV.allowed_hosts)

INSTALLED_APPS = [
    "unfold",
    # Finding the admin pages loads every service there is: the URLs do it, for the processes that serve them.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_prometheus",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "channels",
    "axes",
    "django_celery_beat",
    "nautilus_site.common",
    "nautilus_site.supervisor",
    "universe",
    "trading",
    "mlregistry",
    "governance",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "nautilus_site.common.middleware.LatencyMiddleware",
    "nautilus_site.common.middleware.RequestIdMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "nautilus_site.common.middleware.ContentSecurityPolicyMiddleware",
    "axes.middleware.AxesMiddleware",
    "nautilus_site.common.known_devices.KnownDeviceMiddleware",
    "nautilus_site.common.admission.AdmissionMiddleware",
    "nautilus_site.common.session_places.SessionSeenMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "nautilus_site.urls"
ASGI_APPLICATION = "nautilus_site.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"layout": "governance.views.layout_tags"},
        },
    },
]

# Workers and daemons keep their connections; under ASGI threads come and go, so there one ends with its request.
_KEEPS_CONNECTIONS = any(o.startswith("nautilus-") and o != "nautilus-web" for o in sys._xoptions)
# A worker that freezes in the middle of a transaction must not hold the levels' row, and with it a kill, for ever.
_LETS_GO = (
    {"options": "-c idle_in_transaction_session_timeout=3000"}
    if any(o in ("nautilus-worker-trading", "nautilus-worker-control") for o in sys._xoptions)
    else {}
)
_DATABASE: dict[str, Any] = database_config(ENV.database_url) if ENV.database_url else {"NAME": "nautilus"}
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 600 if _KEEPS_CONNECTIONS else 0,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
        **_DATABASE,
        # Values travel beside the text, so a statement that comes back is parsed and planned once per connection.
        "OPTIONS": {
            "server_side_binding": True,
            "prepare_threshold": 5,
            **_LETS_GO,
            **_DATABASE.get("OPTIONS", {}),
        },
    }
}
# Who owns the tables; `migrate` connects so. The processes of the application are not told.
DATABASE_OWNER: dict[str, Any] = database_config(ENV.database_owner_url) if ENV.database_owner_url else {}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_REDIS = RedisUrls.from_url(ENV.redis_url or f"unix://{NAUTILUS_HOME}/run/valkey.sock")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": _REDIS.cache}}
# The pub/sub layer, not the core one: its sockets survive a broker restart and it is several times faster.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [_REDIS.channels]},
    }
}

CELERY_BROKER_URL = _REDIS.broker
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_TASK_TIME_LIMIT = 120
CELERY_TASK_SOFT_TIME_LIMIT = 100
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "socket_timeout": 5,
    "retry_policy": {"max_retries": 1},
    # A message is a hint: whoever sends one does not wait for a broker that is away. Workers wait by other settings.
    "max_retries": 0,
}
CELERY_TASK_DEFAULT_QUEUE = "governance"
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "governance.daemons.beat:ClaimingScheduler"

AUTH_USER_MODEL = "common.User"
AUTHENTICATION_BACKENDS = [
    "nautilus_site.common.lock_out.LockOutBackend",
    # For sessions that name it.
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 15}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = ["username", "ip_address"]
AXES_HANDLER = "nautilus_site.common.lock_out.LockOutHandler"
AXES_USERNAME_CALLABLE = "nautilus_site.common.lock_out.account_name"
AXES_CLIENT_IP_CALLABLE = "nautilus_site.common.addresses.request_address"
AXES_RESET_ON_SUCCESS = False
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "nautilus_site.common.views.locked_out"
CSRF_FAILURE_VIEW = "nautilus_site.common.views.csrf_failure"

# Approving and resuming need a log-in at most this old.
STEP_UP_MAX_AGE = timedelta(minutes=5)
# Between the right password and the code.
CODE_MAX_AGE = timedelta(minutes=5)
CODE_URL = "/accounts/code/"
SECOND_FACTOR_URL = "/accounts/second-factor/"
REQUIRE_SECOND_FACTOR = bool(ENV.require_second_factor)
# A session without a request or an open live stream for that long has ended.
SESSION_IDLE = timedelta(minutes=ENV.session_idle_min) if ENV.session_idle_min else None

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "nautilus_site.common.api.authentication.BearerTokenAuthentication",
        "nautilus_site.common.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["nautilus_site.common.api.permissions.DeclaredPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["nautilus_site.common.api.parsers.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "nautilus_site.common.api.pagination.NewestFirstPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["nautilus_site.common.api.throttling.UserThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": "6000/min"},
    "EXCEPTION_HANDLER": "nautilus_site.common.api.problems.problem_handler",
    "COERCE_DECIMAL_TO_STRING": True,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    # Fields of one name with other choices: each set has a name of its own in the schema.
    "ENUM_NAME_OVERRIDES": {
        "ModelStageEnum": "mlregistry.serializers.STAGES",
        "TradingStageEnum": "mlregistry.serializers.TRADING_STAGES",
        "ChannelKindEnum": "governance.serializers.notifications.CHANNEL_KINDS",
        "DeliveryStateEnum": "governance.serializers.notifications.DELIVERY_STATES",
        "SeverityEnum": "governance.domain.notices.SEVERITIES",
        "IncidentStateEnum": "governance.serializers.playbooks.INCIDENT_STATES",
        "RehearsalStateEnum": "governance.serializers.playbooks.REHEARSAL_STATES",
        "IdleStageEnum": "mlregistry.serializers.IDLE_STAGES",
        "AskedStageEnum": "mlregistry.serializers.ASKED_STAGES",
        "CanaryStateEnum": "mlregistry.serializers.CANARY_STATES",
        "DriftVerdictEnum": "mlregistry.serializers.DRIFT_VERDICTS",
        "JobStateEnum": "mlregistry.serializers.JOB_STATES",
        "StudyStateEnum": "mlregistry.serializers.STUDY_STATES",
        "AllocationOutcomeEnum": "governance.serializers.capital.OUTCOMES",
        "FiringOutcomeEnum": "governance.serializers.policies.FIRING_OUTCOMES",
    },
    "TITLE": "Nautilus HMM",
    "DESCRIPTION": "Orders, portfolio, controls and governance. Errors are RFC 9457 problem documents.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "nautilus_site.common.api.schema.add_problem_responses",
    ],
}

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en"

STATIC_URL = "/static/"
STATIC_ROOT = NAUTILUS_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 10 * 3600
DEVICE_COOKIE_PREFIX = "device-"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"

PROMETHEUS_EXPORT_MIGRATIONS = False

UNFOLD = {
    "SITE_TITLE": "Nautilus HMM",
    "SITE_HEADER": "Nautilus HMM",
    "SITE_SUBHEADER": "trading platform",
    "SITE_URL": "/",
    "ENVIRONMENT": "nautilus_site.common.admin.environment_label",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
}

LOGGING_CONFIG = None  # structlog is set up by nautilus_site.common.logs when the apps are ready
LOG_LEVEL = ENV.log_level
