"""What OPTIONS on a token endpoint answers: REST framework's metadata of each package's views.

Endpoints that a package does not have are described in the same form, in the gateway's own words.
"""

from collections.abc import Mapping
from typing import Any, Final

Description = Mapping[str, Any]

_RENDERS = ("application/json", "text/html")
_PARSES = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")


def _field(label: str, *, is_required: bool = True, is_read_only: bool = False) -> Description:
    return {
        "type": "string",
        "required": is_required,
        "read_only": is_read_only,
        "label": label,
    }


def _view(
    name: str,
    description: str,
    fields: Mapping[str, Description],
    *,
    renders: tuple[str, ...] = _RENDERS,
) -> Description:
    found = {"name": name, "description": description, "renders": renders, "parses": _PARSES}
    return {**found, "actions": {"POST": fields}} if fields else found


_USERNAME = {"username": _field("Username")}
_PASSWORD = {"password": _field("Password")}
_TOKEN = {"token": _field("Token")}
_REFRESH = {"refresh": _field("Refresh")}
_READ_ONLY = {"is_required": False, "is_read_only": True}

_BLACKLIST_ALL = _view("Token Blacklist All", "Ends all sessions of the user of the token.", {})
_VERIFY = _view(
    "Token Verify",
    "Takes a token and indicates if it is valid.  This view provides no\n"
    "information about a token's fitness for a particular use.",
    _TOKEN,
)
_BLACKLIST = _view(
    "Token Blacklist",
    "Takes a token and blacklists it. Must be used with the\n"
    "`rest_framework_simplejwt.token_blacklist` app installed.",
    _REFRESH,
)

PAIR: Final[Mapping[str, Description]] = {
    "obtain": _view(
        "Token Obtain Pair",
        "Takes a set of user credentials and returns an access and refresh JSON web\n"
        "token pair to prove the authentication of those credentials.",
        _USERNAME | _PASSWORD,
    ),
    "refresh": _view(
        "Token Refresh",
        "Takes a refresh type JSON web token and returns an access type JSON web\n"
        "token if the refresh token is valid.",
        _REFRESH | {"access": _field("Access", **_READ_ONLY)},
    ),
    "verify": _VERIFY,
    "blacklist": _BLACKLIST,
    "blacklist_all": _BLACKLIST_ALL,
}

SLIDING: Final[Mapping[str, Description]] = {
    "obtain": _view(
        "Token Obtain Sliding",
        "Takes a set of user credentials and returns a sliding JSON web token to\n"
        "prove the authentication of those credentials.",
        _USERNAME | _PASSWORD,
    ),
    "refresh": _view(
        "Token Refresh Sliding",
        "Takes a sliding JSON web token and returns a new, refreshed version if the\n"
        "token's refresh period has not expired.",
        _TOKEN,
    ),
    "verify": _VERIFY,
    "blacklist": _BLACKLIST,
    "blacklist_all": _BLACKLIST_ALL,
}

_OBTAIN_LEGACY = (
    "Obtain Json Web Token",
    "API View that receives a POST with a user's username and password.\n\n"
    "Returns a JSON Web Token that can be used for authenticated requests.",
)

DRF_JWT: Final[Mapping[str, Description]] = {
    "obtain": _view(
        *_OBTAIN_LEGACY, _PASSWORD | {"token": _field("Token", **_READ_ONLY)} | _USERNAME
    ),
    "refresh": _view(
        "Refresh Json Web Token",
        "API View that returns a refreshed token (with new expiration) based on\n"
        "existing token\n\n"
        "If 'orig_iat' field (original issued-at-time) is found it will first check\n"
        "if it's within expiration window, then copy it to the new token.",
        _TOKEN,
    ),
    "verify": _view(
        "Verify Json Web Token",
        "API View that checks the validity of a token, returning the token if it\nis valid.",
        _TOKEN,
    ),
    # Not recorded: read from the package, for a bearer who may post.
    "blacklist": _view("Blacklist", "", {"token": _field("Token", is_required=False)}),
    "blacklist_all": _BLACKLIST_ALL,
}

LEGACY: Final[Mapping[str, Description]] = {
    "obtain": _view(*_OBTAIN_LEGACY, _USERNAME | _PASSWORD),
    "refresh": _view(
        "Refresh Json Web Token",
        "API View that returns a refreshed token (with new expiration) based on\n"
        "existing token\n\n"
        "If 'orig_iat' field (original issued-at-time) is found, will first check\n"
        "if it's within expiration window, then copy it to the new token",
        _TOKEN,
    ),
    "verify": _view(
        "Verify Json Web Token",
        "API View that checks the veracity of a token, returning the token if it\nis valid.",
        _TOKEN,
    ),
    "blacklist": _view("Blacklist Json Web Token", "Ends the session of a token.", _TOKEN),
    "blacklist_all": _BLACKLIST_ALL,
}


def _plain(name: str, description: str, fields: Mapping[str, Description]) -> Description:
    return _view(name, description, fields, renders=_RENDERS[:1])


PLAIN: Final[Mapping[str, Description]] = {
    "obtain": _plain("Login", "Takes credentials and returns tokens.", {}),
    "refresh": _plain("Refresh", "Takes a refresh token and returns an access token.", _REFRESH),
    "verify": _plain("Verify", "Takes a token and tells whether it is valid.", _TOKEN),
    "blacklist": _plain("Logout", "Ends the session of a refresh token.", _REFRESH),
    "blacklist_all": _plain("Logout everywhere", "Ends all sessions of the token's user.", {}),
}
