"""How the token of each recorded case was made (`token_recipes` in recordings/about.json)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.factories import (
    A_UUID,
    CLAIMS,
    NOW,
    OTHER_SECRET,
    SECRET,
    Claims,
    private_pem,
    public_pem,
    rsa_key,
    sign,
    sign_raw,
    without,
)

RECORDINGS = Path(__file__).parent / "recordings"
_NOW = int(NOW)

Row = dict[str, Any]

URLS: Mapping[str, Mapping[str, str]] = json.loads((RECORDINGS / "about.json").read_text())["urls"]
_WHOLE_GROUPS = ("login", "slash", "refresh", "verify", "blacklist")
_TOKEN_GROUPS = (*_WHOLE_GROUPS, "cors", "accept", "rs256")

_CHANGES: Mapping[str, Claims] = {
    "expired": {"exp": _NOW - 10},
    "expired 10s (leeway probe)": {"exp": _NOW - 10},
    "expired token and malformed JSON body": {"exp": _NOW - 10},
    "public view, expired token": {"exp": _NOW - 10},
    "exp == now-1s boundary": {"exp": _NOW - 1},
    "no exp claim": without("exp"),
    "no jti claim": without("jti"),
    "no token_type claim": without("token_type"),
    "no user_id claim": without("user_id"),
    "no username claim": without("username"),
    "user_id int": {"user_id": 1},
    "iat in future": {"iat": _NOW + 600},
    "nbf in future": {"nbf": _NOW + 600},
    "exp float": {"exp": _NOW + 3000.5},
    "exp string": {"exp": str(_NOW + 3000)},
    "exp not a number": {"exp": "soon"},
    "exp huge 1e12": {"exp": 10**12},
    "jti int": {"jti": 12345},
    "sub int": {"sub": 7},
    "aud present/unexpected": {"aud": "someone"},
    "iss present/unexpected": {"iss": "someone"},
    "user deleted": {"user_id": 4242, "username": "ghost"},
    "user inactive": {"user_id": 2, "username": "sleepy"},
    "user_id not a number": {"user_id": "abc"},
    "refresh token used as access": {"token_type": "refresh"},
    "sliding token": {"token_type": "sliding"},
    "access token (if sliding conf)": {"token_type": "access"},
    "access token given": {"token_type": "access"},
    "refresh token given": {"token_type": "refresh"},
    "self-minted never-outstanding token": {"token_type": "refresh"},
    "custom claims preserved": {"role": "admin", "nested": {"a": [1]}},
    "refresh_exp passed": {"refresh_exp": _NOW - 10},
    "refresh_exp missing": without("refresh_exp"),
    "orig_iat missing": without("orig_iat"),
    "orig_iat older than 7 days": {"orig_iat": _NOW - 8 * 86400},
    "orig_iat string": {"orig_iat": str(_NOW - 60)},
    "access iat = int(now)+1 (issuer clock 1 s ahead)": {"iat": _NOW + 1},
    "access iat = int(now)+2": {"iat": _NOW + 2},
    "access iat = int(now)-2": {"iat": _NOW - 2},
    "access without iat": without("iat"),
}
# What a change may add; ids that a package does not use are not put into its tokens.
_ADDED = {"nbf", "aud", "iss", "iat", "jti", "sub", "exp", "username", "role", "nested"}
_TIMES = {"exp", "iat", "nbf", "orig_iat", "refresh_exp"}
_HEADERS: Mapping[str, dict[str, Any]] = {
    "kid header": {"kid": "k1"},
    "crit header": {"crit": ["exp"], "exp": 1},
    "typ header at+jwt": {"typ": "at+jwt"},
}
_SPECIAL: Mapping[str, Callable[[Claims], str]] = {
    "wrong signature": lambda claims: sign(claims, OTHER_SECRET),
    "signature stripped": lambda claims: sign(claims).rpartition(".")[0] + ".",
    "alg none": lambda claims: sign(claims, None, "none"),
    "alg HS512 same key": lambda claims: sign_raw(
        {"alg": "HS512", "typ": "JWT"}, _json(claims), SECRET, "sha512"
    ),
    "payload tampered": lambda claims: _tampered(claims),
    "HS256 token signed with the public key (key confusion)": lambda claims: sign_raw(
        {"alg": "HS256", "typ": "JWT"}, _json(claims), public_pem(rsa_key())
    ),
}


def token_of(
    row: Row,
    profile: str,
    *,
    use: str = "access",
    now: float = NOW,
    number: int = 0,
) -> str:
    """The token that stands as <JWT> in this row's request.

    `use` is its type where the case does not tell; `number` tells it from others of its kind.
    """
    case = row["case"]
    claims = _moved(_claims(case, profile, use, number), int(now) - _NOW)
    if row["group"] == "rs256" and case == "ok":
        return sign(claims, private_pem(rsa_key()), "RS256")
    if case in _SPECIAL:
        return _SPECIAL[case](claims)
    return sign_raw({"alg": "HS256", "typ": "JWT", **_HEADERS.get(case, {})}, _json(claims))


def _claims(case: str, profile: str, use: str, number: int) -> Claims:
    base: Claims = {}
    jti = UUID(int=A_UUID.int + number)
    usual = CLAIMS[profile]()
    if profile == "simplejwt":
        base = {"token_type": use, "jti": jti.hex}
        if use == "sliding":
            base["refresh_exp"] = _NOW + 30_000
    else:
        base["orig_iat"] = usual["orig_iat"] - number
        if "jti" in usual:
            base["jti"] = str(jti)
    changes = dict(_CHANGES.get(case, {}))
    if profile == "simplejwt" and changes.get("user_id") in (2, 4242):
        changes["user_id"] = str(changes["user_id"])
    known = usual.keys() | base.keys() | _ADDED
    return CLAIMS[profile](
        **base | {name: value for name, value in changes.items() if name in known}
    )


def _moved(claims: Claims, seconds: int) -> Claims:
    """The claims as they are that much later."""
    moved = dict(claims)
    for name in _TIMES & claims.keys():
        value = claims[name]
        if isinstance(value, int | float):
            moved[name] = value + seconds
        elif value.isdigit():
            moved[name] = str(int(value) + seconds)
    return moved


def _json(claims: Claims) -> bytes:
    return json.dumps(claims).encode()


def _tampered(claims: Claims) -> str:
    header, _, signature = sign(claims).split(".")
    return ".".join((header, sign({**claims, "user_id": "2"}).split(".")[1], signature))


@cache
def recording(run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDINGS / f"{run}.json").read_text())
    return found


def rows(run: str, *groups: str) -> list[Row]:
    return [row for row in recording(run)["rows"] if row["group"] in groups]


@dataclass(frozen=True, slots=True)
class TokenRun:
    """A recorded run, and the issuer's settings that stand for those of its package.

    Where only the rows that differ from another run were recorded, `login` names one with logins.
    """

    name: str
    settings: Mapping[str, Any] = field(hash=False, repr=False)
    login: str = ""

    @property
    def profile(self) -> str:
        return str(self.settings["profile"])

    @property
    def is_sliding(self) -> bool:
        return "auth_token_classes" in self.settings

    @property
    def endpoints(self) -> dict[str, str | None]:
        """The paths as in the configuration; null where the package had none."""
        urls = URLS["simplejwt" if self.profile == "simplejwt" else "jwt"]
        prefix = "sliding " if self.is_sliding else ""
        has_blacklist = self.profile == "simplejwt" or "blacklist" in self.name
        return {
            "obtain": urls[f"{prefix}login"],
            "refresh": urls[f"{prefix}refresh"],
            "verify": urls["verify"],
            "blacklist": urls["blacklist"] if has_blacklist else None,
        }

    def rows(self) -> list[Row]:
        """The rows that concern token endpoints, in their order."""
        bare = {path.rstrip("/") for path in self.endpoints.values() if path}
        return [
            row
            for row in rows(self.name, *_TOKEN_GROUPS)
            if row["group"] in _WHOLE_GROUPS
            or row["request"]["path"].partition("?")[0].rstrip("/") in bare
        ]
