"""All settings, from the environment. The defaults are the safe ones; `manage.py serve` sets the embedded mode."""

import secrets
from pathlib import Path

import environ

from experiments_service.api_texts import DESCRIPTION, TAGS

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# --- Process ---------------------------------------------------------------------------------------------------
DEBUG = False  # Never on: errors are logged, not shown.
# Without SECRET_KEY a throw-away key serves tools and tests; sessions and encrypted payloads need a lasting one.
SECRET_KEY = env.str("SECRET_KEY", default="") or secrets.token_urlsafe(50)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Behind a TLS-terminating proxy set this to true; absolute links then use https.
BEHIND_TLS_PROXY = env.bool("BEHIND_TLS_PROXY", default=False)
THROTTLING_ENABLED = env.bool("THROTTLING_ENABLED", default=True)
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "procrastinate.contrib.django",
    "common",
    "projects",
    "activity",
    "events",
    "approvals",
    "cohorts",
    "feature_flags",
    "experiments",
    "experiments_service",
]

MIDDLEWARE = [
    "experiments_service.request_log.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "experiments_service.sdk_lane.SDKLane",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "experiments_service.cors.CORSMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "feature_flags.freshness.FreshAfterWrites",
]

# With and without trailing slash.
SDK_LANE: tuple[str, ...] = ("/flags", "/decide", "/ofrep/v1/evaluate/flags", "/batch", "/capture", "/e", "/i/v0/e")

ROOT_URLCONF = "experiments_service.urls"
WSGI_APPLICATION = "experiments_service.wsgi.application"
APPEND_SLASH = False  # Both spellings are routed; a redirect would drop POST bodies.

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Store -----------------------------------------------------------------------------------------------------
# Connections are kept for the life of a worker thread and tested before reuse after a database restart.
DATABASES = {
    "default": {
        **env.db_url("DATABASE_URL", default="postgresql://localhost/experiments"),
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": env.int("DATABASE_CONN_MAX_AGE", default=None),
        "CONN_HEALTH_CHECKS": True,
        "TEST": {"NAME": env.str("TEST_DATABASE_NAME", default="") or None},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Events older than that many months are not taken and are dropped by whole months; 0 keeps them for ever.
EVENTS_RETENTION_MONTHS = env.int("EVENTS_RETENTION_MONTHS", default=0)
# A statement of a list of events, persons or groups that takes longer is cancelled.
LIST_STATEMENT_TIMEOUT_SECONDS = env.float("LIST_STATEMENT_TIMEOUT_SECONDS", default=60)
# A statement of a cohort's calculation that takes longer fails it.
COHORT_STATEMENT_TIMEOUT_SECONDS = env.int("COHORT_STATEMENT_TIMEOUT_SECONDS", default=600)

# --- Users and sessions ----------------------------------------------------------------------------------------
AUTH_USER_MODEL = "projects.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_NAME = "posthog_csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS_PROXY
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31536000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^_livez$", r"^_readyz$"]

# --- HTTP ------------------------------------------------------------------------------------------------------
MAX_REQUEST_BYTES = 20971520
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_REQUEST_BYTES
FILE_UPLOAD_MAX_MEMORY_SIZE = MAX_REQUEST_BYTES

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["projects.authentication.CredentialAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["projects.access.DenyUndeclared"],
    "DEFAULT_RENDERER_CLASSES": [
        "common.api.rendering.DocumentRenderer",
        "common.api.rendering.BrowsableRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": [
        "common.api.parsing.StrictJSONParser",
        "common.api.parsing.CleanFormParser",
        "common.api.parsing.CleanMultiPartParser",
    ],
    "DEFAULT_PAGINATION_CLASS": "common.api.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "common.api.openapi.OperationSchema",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "common.api.rendering.PreferJSON",
    "EXCEPTION_HANDLER": "common.api.errors.answer",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "URL_FORMAT_OVERRIDE": None,
    "DATETIME_FORMAT": "iso-8601",
    "COERCE_DECIMAL_TO_STRING": False,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Experiments service",
    "DESCRIPTION": DESCRIPTION,
    "TAGS": TAGS,
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.0.3",
    "SERVERS": [{"url": "/"}],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    # Words for maintainers are not words for callers.
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,
    "POSTPROCESSING_HOOKS": ["common.api.openapi_components.finish"],
    # The names of enums that several components share; one of a single component is called after it.
    "ENUM_NAME_OVERRIDES": {
        "ActivityEnum": "activity.models.Activity",
        "ActivityScopeEnum": "activity.models.Scope",
        "ApprovalActionEnum": "approvals.families.ACTION_KEYS",
        "ApprovalDecisionEnum": "approvals.models.Decision",
        "BucketingIdentifierEnum": "feature_flags.models.BucketingIdentifier",
        "CohortTypeEnum": ["static", "person_property", "behavioral"],
        "ChangeRequestResourceEnum": ["feature_flag", "experiment_holdout"],
        "ChangeRequestStateEnum": "approvals.models.ChangeRequestState",
        "ChangeRequestValidationEnum": "approvals.models.ValidationStatus",
        "ConclusionEnum": "experiments.models.Conclusion",
        "DifferenceTypeEnum": ["RELATIVE", "ABSOLUTE"],
        "EvaluationRuntimeEnum": "feature_flags.models.EvaluationRuntime",
        "ExperimentStatusEnum": ["draft", "running", "paused", "stopped"],
        "ExperimentTypeEnum": "experiments.models.ExperimentType",
        "MembershipLevelEnum": "projects.models.Level",
        "MetricGoalEnum": ["increase", "decrease"],
        "MetricMathEnum": "experiments.metrics.nodes.NodeMath",
        "MissingStatisticEnum": "stats.results.Reason",
        "MultipleVariantHandlingEnum": ["exclude", "first_seen"],
        "MultiplicityEnum": ["none", "holm", "benjamini_hochberg"],
        "PropertyOperatorEnum": "common.property_filters.Operator",
        "StatsMethodEnum": ["bayesian", "frequentist"],
        "WindowUnitEnum": "experiments.metrics.base.WindowUnit",
    },
}

# --- Results ---------------------------------------------------------------------------------------------------
# How long a computed answer serves, while events may still come and after the experiment has ended.
EXPERIMENT_RESULTS_FRESH_SECONDS_OPEN = env.int("EXPERIMENT_RESULTS_FRESH_SECONDS_OPEN", default=900)
EXPERIMENT_RESULTS_FRESH_SECONDS_CLOSED = env.int("EXPERIMENT_RESULTS_FRESH_SECONDS_CLOSED", default=86400)
EXPERIMENT_RESULTS_STATEMENT_TIMEOUT_SECONDS = env.int("EXPERIMENT_RESULTS_STATEMENT_TIMEOUT_SECONDS", default=600)

# --- Static files and texts ------------------------------------------------------------------------------------
STATIC_URL = "/static/"
# Served from where they are installed; there is nothing to collect.
WHITENOISE_USE_FINDERS = True
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

# --- Logs ------------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "experiments_service.request_log.JSONFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # One line a request comes from RequestLogMiddleware; Django's own repeats refusals with paths in them.
        "django.request": {"level": "ERROR"},
        "django.security": {"level": "ERROR"},
        # These speak at every start of every command.
        "procrastinate.blueprints": {"level": "WARNING"},
        "procrastinate.periodic": {"level": "WARNING"},
    },
}
