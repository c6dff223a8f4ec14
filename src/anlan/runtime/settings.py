"""Django settings. Every setting an operator can turn is in SETTINGS below: its environment variable, default and meaning.

`docs/reference.md` is generated from this table, and a test fails when a variable is read that is not in it.
"""
from __future__ import annotations

import ipaddress
import json
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

SETTINGS: dict[str, tuple[str, str]] = {
    "ANLAN_HOME": ("~/.anlan", "The one folder that holds all data: database, broker, files, keys, logs."),
    "DATABASE_URL": ("", "PostgreSQL 15 or newer to use instead of the embedded one, as postgresql://user:password@host/name."),
    "DATABASE_ADMIN_URL": ("", "The same database as a role that may migrate and create roles; default: DATABASE_URL."),
    "NATS_URL": ("", "NATS server with JetStream to use instead of the embedded one, as nats://user:password@host:port, or tls://…; a cluster's members with commas; special characters of the password percent-encoded."),
    "ANLAN_NATS_CA": ("", "Certificate file (PEM) of the authority behind a tls:// NATS_URL; default: those the system trusts."),
    "NATS_SERVER": ("", "Path of the nats-server program; default: the one of the Python wheel."),
    "ANLAN_HOST": ("127.0.0.1", "Address the web server listens on. Anything but loopback needs ANLAN_TLS_CERT and ANLAN_TLS_KEY."),
    "ANLAN_PORT": ("8420", "Port of the web server; a free one is taken, and said, when it is in use."),
    "ANLAN_MQTT_PORT": ("1883", "Port of the MQTT listener of the embedded broker; a free one is taken, and said, when it is in use."),
    "ANLAN_TLS_CERT": ("", "Certificate file (PEM) for the web server and the MQTT listener."),
    "ANLAN_TLS_KEY": ("", "Private key file (PEM) of that certificate."),
    "ANLAN_ALLOWED_HOSTS": ("", "Host names, comma separated, the web server answers to besides loopback."),
    "ANLAN_TIME_ZONE": ("Asia/Shanghai", "Time zone of the installation; times are UTC inside and this at the edge."),
    "ANLAN_SEAL_MS": ("50", "Least time in milliseconds between two runs of the journal's sealer."),
    "ANLAN_READING_HORIZON_H": ("72", "How many hours late a reading may come and still be used by the rules."),
    "ANLAN_PROBE_S": ("60", "How often the platform sends itself a reading through the whole chain, in seconds; 0: never."),
    "ANLAN_LATENESS_S": ("900", "How many seconds a gauge's readings may trail its newest one before what was said at once is judged for good."),
    "ANLAN_READINGS_DAYS": ("0", "How many days readings are kept (31 at least); 0 keeps all. Erased daily, with a fact saying how many and their digest."),
    "ANLAN_READINGS_PART": ("month", "Event time in one partition of the readings: day, week or month. Best a month below 10,000 stations, a week below 50,000, a day above."),
    "ANLAN_OUTBOUND_ALLOW": ("", "Hosts, comma separated, that the outbound client may call although they are private addresses."),
    "ANLAN_ROUTER": ("own", "Who works out travel times where nothing else is needed: own, osrm+http://host:port or valhalla+http://host:port; a private address must be in ANLAN_OUTBOUND_ALLOW too."),
    "ANLAN_HEAD_FOLDER": ("", "Folder on another machine (a share) or a stick that gets the journal's signed head each day; it must exist."),
    "ANLAN_HEAD_URL": ("", "Address, best the upper level's, that gets the journal's signed head each day as a JSON document by POST."),
    "ANLAN_PUBLIC_FOLDER": ("", "Folder the public page is written to, for a web server to serve its `current`; empty: `public` in ANLAN_HOME."),
    "ANLAN_PUBLIC_URL": ("", "Address the public page is served at, for the links in its feeds; empty leaves them without a host."),
    "ANLAN_BACKUP_PASSPHRASE": ("", "Passphrase of the encrypted keys for `anlan backup` and `anlan restore`; asked for at the terminal when empty."),
    "ANLAN_DEBUG": ("", "1 shows tracebacks in the browser; never on a machine others can reach."),
}


def env(name: str) -> str:
    """The value of a setting; KeyError when it is not in the table, so that nothing undocumented is read."""
    return os.environ.get(name) or SETTINGS[name][0]


HOME = Path(env("ANLAN_HOME")).expanduser().absolute()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server listening on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _addresses() -> dict:
    """Where the running supervisor put its embedded services (written by `anlan serve`)."""
    try:
        return json.loads((HOME / "run" / "addresses.json").read_text())
    except (OSError, ValueError):
        return {}


ADDRESSES = _addresses()


def database(url: str) -> dict:
    parts = urlsplit(url)
    options = dict(pair.split("=", 1) for pair in parts.query.split("&") if pair)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/") or "anlan",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(options.pop("host", "") or parts.hostname or ""),
        "PORT": str(parts.port or options.pop("port", "") or ""),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
        "TEST": {"NAME": f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"},
    }


DATABASE_URL = env("DATABASE_URL") or ADDRESSES.get("database", "postgresql://anlan@localhost/anlan")
NATS_URL = env("NATS_URL") or ADDRESSES.get("nats", "")
NATS_CA = env("ANLAN_NATS_CA")
DATABASES = {"default": database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def _secret_key() -> str:
    """The session key lives outside the database, mode 0600; made on first use."""
    path = HOME / "keys" / "session.key"
    try:
        return path.read_text()
    except OSError:
        import secrets

        key = secrets.token_urlsafe(48)
        try:
            HOME.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.parent.mkdir(exist_ok=True, mode=0o700)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w") as file:
                file.write(key)
        except FileExistsError:
            return path.read_text()
        return key


SECRET_KEY = _secret_key()
DEBUG = env("ANLAN_DEBUG") == "1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver", env("ANLAN_HOST"), *filter(None, env("ANLAN_ALLOWED_HOSTS").split(","))]
USE_TZ = True
TIME_ZONE = "UTC"
TIME_ZONE_LOCAL = env("ANLAN_TIME_ZONE")
LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "中文"), ("en", "English")]
USE_I18N = True
LOCALE_PATHS = [Path(__file__).resolve().parent / "locale"]  # the runtime is no Django app
AUTH_USER_MODEL = "kernel.Account"
ROOMS = ["kernel", "sensing", "resources", "inspection", "warning", "plans", "logistics", "command", "exchange", "demo", "web"]

BASE = Path(__file__).resolve().parent.parent
FILES = HOME / "files"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "procrastinate.contrib.django",
    # A room that is not built yet has no apps.py; the list of rooms stays the design's.
    *(f"anlan.{room}" for room in ROOMS if (BASE / room / "apps.py").exists()),
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "anlan.kernel.middleware.ActorMiddleware",
    "anlan.kernel.middleware.ProblemMiddleware",
    "anlan.kernel.middleware.ContentSecurityMiddleware",
]
ROOT_URLCONF = "anlan.web.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "anlan.kernel.shell.context",
            ],
        },
    }
]
STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = bool(env("ANLAN_TLS_CERT"))
if SESSION_COOKIE_SECURE:
    SESSION_COOKIE_NAME = "__Host-sessionid"  # the browser takes it from this very host and over TLS only
    SECURE_HSTS_SECONDS = 366 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SESSION_COOKIE_AGE = 12 * 3600  # one shift: a duty PC is signed in anew by each shift
LOGIN_URL = "/sign-in"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "anlan.kernel.middleware.csrf_failure"
PROCRASTINATE_ON_APP_READY = None
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = "tasks"
SEAL_INTERVAL_S = int(env("ANLAN_SEAL_MS")) / 1000
READING_HORIZON_H = int(env("ANLAN_READING_HORIZON_H"))
READINGS_DAYS = int(env("ANLAN_READINGS_DAYS"))
PUBLIC_FOLDER, PUBLIC_URL = env("ANLAN_PUBLIC_FOLDER"), env("ANLAN_PUBLIC_URL")
LATENESS_S = int(env("ANLAN_LATENESS_S"))
PROBE_S = int(env("ANLAN_PROBE_S"))
READINGS_PART = env("ANLAN_READINGS_PART")
HEAD_FOLDER, HEAD_URL = env("ANLAN_HEAD_FOLDER"), env("ANLAN_HEAD_URL")
ROUTER = env("ANLAN_ROUTER")
OUTBOUND_ALLOW = env("ANLAN_OUTBOUND_ALLOW").split(",")
