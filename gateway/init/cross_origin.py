"""django-cors-headers' settings as `cors` of routes: without it pages can't read a 401 of ours."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.init.yaml_text import duration, text, texts


def cors_doubt(facts: Mapping[str, Any]) -> str | None:
    """Why the settings can't be said by `cors`; None where they can, or where there are none."""
    cors = facts["cors"]
    if cors is None or not (cors["origins"] or cors["allows_all"] or cors["regexes"]):
        return None
    if cors["regexes"]:
        why = "origins by regular expression can't be said there"
    elif cors["allows_all"] and cors["credentials"]:
        why = "all origins with credentials is refused there"
    elif cors["paths"] != "^.*$":
        why = "CORS_URLS_REGEX tells the routes, which can't be said there"
    else:
        return None
    return (
        "django-cors-headers answers pages of other origins, which can't read the gateway's own "
        f"answers (refresh, a 401 of a bad token) before routes have `cors`: {why}"
    )


def cors_section(facts: Mapping[str, Any]) -> str | None:
    """The section, None where routes need none or can't have it."""
    cors = facts["cors"]
    if cors is None or cors_doubt(facts) or not (cors["origins"] or cors["allows_all"]):
        return None
    return f"{{{', '.join(_members(cors))}}}"


def _members(cors: Mapping[str, Any]) -> Iterator[str]:
    origins = ['"*"'] if cors["allows_all"] else [text(one) for one in cors["origins"]]
    yield f"origins: [{', '.join(origins)}]"
    yield f"headers: {texts(cors['headers'])}"
    yield f"methods: {texts(cors['methods'])}"
    if cors["exposed"]:
        yield f"expose_headers: {texts(cors['exposed'])}"
    if cors["credentials"]:
        yield "credentials: true"
    yield f"max_age: {duration(cors['max_age'])}"
