"""How the token of each recorded case was made (`token_recipes` in recordings/about.json)."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.factories import (
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
    "access iat = int(now)+1 (issuer clock 1 s ahead)": {"iat": _NOW + 1},
    "access iat = int(now)+2": {"iat": _NOW + 2},
    "access iat = int(now)-2": {"iat": _NOW - 2},
    "access without iat": without("iat"),
}
# What a change may add; ids that a package does not use are not put into its tokens.
_ADDED = {"nbf", "aud", "iss", "iat", "jti", "sub", "exp"}
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


def token_of(row: Row, profile: str) -> str:
    """The token that stands as <JWT> in this row's request."""
    case = row["case"]
    changes = _CHANGES.get(case, {})
    usual = CLAIMS[profile]()
    claims = CLAIMS[profile](
        **{name: value for name, value in changes.items() if name in usual.keys() | _ADDED}
    )
    if row["group"] == "rs256" and case == "ok":
        return sign(claims, private_pem(rsa_key()), "RS256")
    if case in _SPECIAL:
        return _SPECIAL[case](claims)
    return sign_raw({"alg": "HS256", "typ": "JWT", **_HEADERS.get(case, {})}, _json(claims))


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
