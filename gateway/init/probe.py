"""Tells in JSON what `gateway init` asks of a Django project; runs in that project's own Python.

Rules
- Standard library and Python 3.8 alone: the gateway is not installed there.
- No secret is told: of a key only where it comes from, of an exception only its type and place.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import traceback
from datetime import timedelta
from typing import Any

# The script's own directory is where Python looks first, until `main` takes it away.
from probe_views import JWT, SIMPLEJWT, patterns  # type: ignore[import-not-found]

# Keys, and whatever else may hold one, are never among these.
SETTINGS = {
    SIMPLEJWT: (
        "ACCESS_TOKEN_LIFETIME REFRESH_TOKEN_LIFETIME ROTATE_REFRESH_TOKENS JWK_URL LEEWAY"
        " BLACKLIST_AFTER_ROTATION ALGORITHM AUDIENCE ISSUER AUTH_HEADER_TYPES AUTH_HEADER_NAME"
        " USER_ID_CLAIM USER_AUTHENTICATION_RULE AUTH_TOKEN_CLASSES TOKEN_TYPE_CLAIM JTI_CLAIM"
        " SLIDING_TOKEN_REFRESH_EXP_CLAIM SLIDING_TOKEN_LIFETIME SLIDING_TOKEN_REFRESH_LIFETIME"
        " CHECK_REVOKE_TOKEN"
    ).split(),
    JWT: (
        "JWT_ALGORITHM JWT_AUDIENCE JWT_ISSUER JWT_VERIFY JWT_VERIFY_EXPIRATION JWT_LEEWAY"
        " JWT_EXPIRATION_DELTA JWT_ALLOW_REFRESH JWT_REFRESH_EXPIRATION_DELTA JWT_TOKEN_ID"
        " JWT_AUTH_HEADER_PREFIX JWT_AUTH_COOKIE JWT_ENCODE_HANDLER JWT_DECODE_HANDLER"
        " JWT_PAYLOAD_HANDLER JWT_PAYLOAD_GET_USER_ID_HANDLER JWT_PAYLOAD_GET_USERNAME_HANDLER"
        " JWT_GET_USER_SECRET_KEY JWT_RESPONSE_PAYLOAD_HANDLER"
    ).split(),
}
CORS_MIDDLEWARE = "corsheaders.middleware.CorsMiddleware"
KEYS = {
    SIMPLEJWT: {"signing": "SIGNING_KEY", "verifying": "VERIFYING_KEY"},
    JWT: {
        "secret": "JWT_SECRET_KEY",
        "signing": "JWT_PRIVATE_KEY",
        "verifying": "JWT_PUBLIC_KEY",
    },
}


def main(module: str) -> dict[str, Any]:
    sys.path[0] = os.getcwd()  # as for the project's own manage.py
    environ = dict(os.environ)
    os.environ["DJANGO_SETTINGS_MODULE"] = module
    try:
        import django
    except ImportError:
        return {"error": {"kind": "no_django"}}
    try:
        importlib.import_module(module)
        django.setup()
        return facts(environ)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - settings are code, and raise what they like
        return {"error": described(error, module)}


def facts(environ: dict[str, str]) -> dict[str, Any]:
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.urls import get_resolver

    packages = {name: package_facts(name, environ) for name in (SIMPLEJWT, JWT) if has(name)}
    return {
        "urlconf": str(settings.ROOT_URLCONF),
        "versions": {
            name: version(name)
            for name in ("djangorestframework-simplejwt", "drf-jwt", "djangorestframework-jwt")
        },
        "packages": packages,
        "apps": [str(app) for app in settings.INSTALLED_APPS],
        "middleware": [str(name) for name in settings.MIDDLEWARE],
        "allowed_hosts": [str(host) for host in settings.ALLOWED_HOSTS],
        "files": [str(url) for url in (settings.STATIC_URL, settings.MEDIA_URL) if url],
        "words_errors_itself": has("rest_framework") and words_errors_itself(),
        "language": str(settings.LANGUAGE_CODE),
        "username_field": str(get_user_model().USERNAME_FIELD),
        "believes_proxy": bool(settings.SECURE_PROXY_SSL_HEADER or settings.SECURE_SSL_REDIRECT),
        "script_name": str(settings.FORCE_SCRIPT_NAME or ""),
        "cors": cors_facts() if CORS_MIDDLEWARE in settings.MIDDLEWARE else None,
        "patterns": list(patterns(get_resolver())) if has("rest_framework") else [],
    }


def cors_facts() -> dict[str, Any]:
    conf = importlib.import_module("corsheaders.conf").conf  # with the package's defaults
    regexes = [getattr(one, "pattern", one) for one in conf.CORS_ALLOWED_ORIGIN_REGEXES]
    return {
        "origins": plain(conf.CORS_ALLOWED_ORIGINS),
        "allows_all": bool(conf.CORS_ALLOW_ALL_ORIGINS),
        "regexes": plain(regexes),
        "paths": str(getattr(conf.CORS_URLS_REGEX, "pattern", conf.CORS_URLS_REGEX)),
        "credentials": bool(conf.CORS_ALLOW_CREDENTIALS),
        "headers": plain(conf.CORS_ALLOW_HEADERS),
        "methods": plain(conf.CORS_ALLOW_METHODS),
        "exposed": plain(conf.CORS_EXPOSE_HEADERS),
        "max_age": int(conf.CORS_PREFLIGHT_MAX_AGE or 0),
    }


def words_errors_itself() -> bool:
    from rest_framework.settings import api_settings
    from rest_framework.views import exception_handler

    return api_settings.EXCEPTION_HANDLER is not exception_handler


def has(package: str) -> bool:
    """Whether it can be imported; its own faults are told as those of the project."""
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        return False
    return True


def version(distribution: str) -> str | None:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed(distribution)
    except PackageNotFoundError:
        return None


def package_facts(package: str, environ: dict[str, str]) -> dict[str, Any]:
    from django.conf import settings

    found = importlib.import_module(package + ".settings").api_settings
    keys = {
        role: origin(getattr(found, name, None), settings.SECRET_KEY, environ)
        for role, name in KEYS[package].items()
    }
    named = {
        name: plain(getattr(found, name)) for name in SETTINGS[package] if name in found.defaults
    }
    if "@" in str(named.get("JWK_URL") or ""):  # a password may stand before it
        named["JWK_URL"] = "@"
    return {"settings": named, "keys": keys}


def plain(value: Any) -> Any:
    """The value as JSON has it; a function or class by its dotted name."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, type) and value.__module__.partition(".")[0] != SIMPLEJWT:
        for base in value.__mro__:  # a token class of the project is told with the package's
            if base.__module__ == SIMPLEJWT + ".tokens":
                return value.__module__ + "." + value.__qualname__ + ":" + base.__qualname__
    if callable(value) and hasattr(value, "__qualname__"):
        return value.__module__ + "." + value.__qualname__
    return str(value)


def origin(key: Any, secret_key: Any, environ: dict[str, str]) -> dict[str, Any] | None:
    """Where the project has this key from, for a reference: the key itself is not told."""
    if not key:
        return None
    text = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
    named = [name for name in sorted(environ) if len(text) >= 16 and name[:8] != "GATEWAY_"]
    return {
        "is_several": not isinstance(key, (str, bytes)),
        "is_secret_key": text == secret_key,
        "size": min(len(text.encode("utf-8", "replace")), 64),
        "variable": next((name for name in named if environ[name] == text), None),
        "file": next((name for name in named if holds(environ[name], text)), None),
    }


def holds(path: str, text: str) -> bool:
    """Whether a variable names the file that the key was read from."""
    if not os.path.isabs(path) or not os.path.isfile(path) or os.path.getsize(path) > 65536:
        return False
    try:
        with open(path, "rb") as file:
            return file.read().strip() == text.encode("utf-8").strip()
    except OSError:
        return False


def described(error: BaseException, module: str) -> dict[str, Any]:
    """What stopped the project: type and place, for what it says may quote a value."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        is_meant = module == error.name or module.startswith(error.name + ".")
        return {"kind": "no_module" if is_meant else "no_import", "name": error.name}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.lineno]
    missing = error.args[0] if isinstance(error, KeyError) and error.args else None
    is_environ = bool(frames) and frames[-1].filename in (os.__file__, "<frozen os>")
    if is_environ and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", str(missing)):
        return {"kind": "no_variable", "name": missing, **place(frames)}
    if isinstance(error, SyntaxError):
        where = {"file": os.path.relpath(error.filename or "?"), "line": error.lineno}
        return {"kind": "raised", "type": type(error).__name__, **where}
    return {"kind": "raised", "type": type(error).__name__, **place(frames)}


def place(frames: list[traceback.FrameSummary]) -> dict[str, Any]:
    """The innermost line of the project itself, or else of whatever raised."""
    here = os.getcwd() + os.sep
    own = [f for f in frames if f.filename.startswith(here) and "site-packages" not in f.filename]
    found = (own or frames)[-1:]
    return {"file": os.path.relpath(found[0].filename), "line": found[0].lineno} if found else {}


if __name__ == "__main__":
    # Whatever the project prints would stand among the JSON, and may be a secret.
    told = sys.stdout
    with open(os.devnull, "w") as sys.stdout:
        json.dump(main(sys.argv[1]), told)
        told.flush()
    os._exit(0)  # without waiting for threads that the project has started
