"""What is known of the project, in the gateway's terms: an issuer's keys, and doubts about them.

Each setting is mapped by its name; what has no counterpart is a warning, never left out silently.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from gateway.config import IssuerConfig
from gateway.config.issuer import Algorithm
from gateway.init.asking import InitError

SIMPLEJWT: Final = "rest_framework_simplejwt"
JWT: Final = "rest_framework_jwt"
_ALGORITHMS: Final = frozenset(get_args(Algorithm))
_REFRESH_EXP: Final = "refresh_exp"
_SPELLED: Final = {"simplejwt": "djangorestframework-simplejwt"}


@dataclass(slots=True)
class Signing:
    """An issuer's own keys, as values of Python; `warnings` is what they can't say."""

    profile: str
    version: str | None
    algorithm: str
    keys: Mapping[str, Any]  # by role: secret, signing, verifying
    jwk_url: str | None
    leeway: float
    audience: list[str]
    issuer: str | None
    header_types: list[str]
    access_life: float
    refresh_life: float
    rotates: bool
    blacklists: bool
    header: str = "Authorization"
    claims: Mapping[str, str] = field(default_factory=dict)  # the names that differ
    token_classes: tuple[str, ...] = ("AccessToken",)
    sliding_life: float = 0
    refreshes: bool = True
    answers_alone: bool = True  # refresh and verify say what the package says
    reads_cookie: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def is_hmac(self) -> bool:
        return self.algorithm.startswith("HS")

    @property
    def is_sliding(self) -> bool:
        return self.token_classes == ("SlidingToken",)

    @property
    def package(self) -> str:
        return _SPELLED.get(self.profile, self.profile)


def signing_of(facts: Mapping[str, Any], package: str) -> Signing:
    """How the project's package signs; raises InitError for what can't be verified."""
    told = facts["packages"][package]
    reader = _of_simplejwt if package == SIMPLEJWT else _of_jwt
    signing = reader(told["settings"], facts)
    signing.keys = told["keys"]
    if signing.algorithm not in _ALGORITHMS:
        raise InitError(
            f"tokens are signed by {signing.algorithm}, which the gateway does not take"
        )
    known = IssuerConfig.model_validate({"profile": signing.profile}).profile_version
    if signing.version and signing.version.split(".")[0] != known.split(".")[0]:
        signing.warnings.append(
            f"{signing.package} {signing.version} is worded as {known}, the release that is known"
        )
        signing.version = None
    key = signing.keys.get("secret") or signing.keys.get("signing")
    if any(one and one["is_several"] for one in signing.keys.values()):
        signing.warnings.append("there are several keys: list them all under verifying_key")
    if signing.is_hmac and key and key["size"] < int(signing.algorithm[2:]) // 8:
        signing.warnings.append(
            f"the signing key is too short for {signing.algorithm}: `gateway check` will refuse it "
            f"until it has {int(signing.algorithm[2:]) // 8} bytes"
        )
    return signing


def _of_simplejwt(told: Mapping[str, Any], facts: Mapping[str, Any]) -> Signing:
    app = "rest_framework_simplejwt.token_blacklist"
    is_listed = any(one.startswith(app) for one in facts["apps"])
    signing = Signing(
        profile="simplejwt",
        version=facts["versions"]["djangorestframework-simplejwt"],
        algorithm=told["ALGORITHM"],
        keys={},
        jwk_url=told.get("JWK_URL") or None,
        leeway=told.get("LEEWAY") or 0,
        audience=_list(told["AUDIENCE"]),
        issuer=told["ISSUER"],
        header_types=_list(told["AUTH_HEADER_TYPES"]),
        header=_header(told.get("AUTH_HEADER_NAME") or "HTTP_AUTHORIZATION"),
        access_life=told["ACCESS_TOKEN_LIFETIME"],
        refresh_life=told["REFRESH_TOKEN_LIFETIME"],
        rotates=told["ROTATE_REFRESH_TOKENS"],
        blacklists=told["BLACKLIST_AFTER_ROTATION"] and is_listed,
        claims={
            key.lower(): told[key]
            for key, usual in (
                ("USER_ID_CLAIM", "user_id"),
                ("TOKEN_TYPE_CLAIM", "token_type"),
                ("JTI_CLAIM", "jti"),
            )
            if told.get(key) not in (None, usual)
        },
        sliding_life=told["SLIDING_TOKEN_LIFETIME"],
    )
    doubts = signing.warnings
    if signing.jwk_url == "@":
        raise InitError("JWK_URL holds a user or password, which the gateway does not send")
    if signing.is_hmac:
        signing.jwk_url = None  # as simplejwt, which looks at it for public keys alone
    classes = []
    for name in _list(told["AUTH_TOKEN_CLASSES"]):
        own, _, base = name.rpartition(":")
        classes.append((base or name).rpartition(".")[2])
        if own:
            doubts.append(f"AUTH_TOKEN_CLASSES: {own} is taken for the package's {base}")
    signing.token_classes = tuple(
        one for one in dict.fromkeys(classes) if one in ("AccessToken", "SlidingToken")
    )
    if len(signing.token_classes) != len(classes):
        doubts.append("AUTH_TOKEN_CLASSES: only AccessToken and SlidingToken are verified")
    if not signing.token_classes:
        raise InitError("AUTH_TOKEN_CLASSES holds neither AccessToken nor SlidingToken")
    if signing.is_sliding:
        signing.refresh_life = told["SLIDING_TOKEN_REFRESH_LIFETIME"]
        if told["SLIDING_TOKEN_REFRESH_EXP_CLAIM"] != _REFRESH_EXP:
            signing.answers_alone = False
            doubts.append("SLIDING_TOKEN_REFRESH_EXP_CLAIM: only refresh_exp is known to refreshes")
    rule = told.get("USER_AUTHENTICATION_RULE") or ""
    if not rule.startswith(f"{SIMPLEJWT}.") or told.get("CHECK_REVOKE_TOKEN"):
        doubts.append(
            "USER_AUTHENTICATION_RULE and CHECK_REVOKE_TOKEN: the app keeps them at login and on "
            "its API, the gateway's refresh does not know them; set check_user"
        )
    return signing


def _of_jwt(told: Mapping[str, Any], facts: Mapping[str, Any]) -> Signing:
    """drf-jwt, and djangorestframework-jwt, from which it comes: one module, two packages."""
    profile = "drf-jwt" if facts["versions"]["drf-jwt"] else "djangorestframework-jwt"
    if told["JWT_GET_USER_SECRET_KEY"]:
        raise InitError("JWT_GET_USER_SECRET_KEY: a key for each user is not supported")
    signing = Signing(
        profile=profile,
        version=facts["versions"][profile],
        algorithm=told["JWT_ALGORITHM"],
        keys={},
        jwk_url=None,
        leeway=told["JWT_LEEWAY"] or 0,
        audience=_list(told["JWT_AUDIENCE"]),
        issuer=told["JWT_ISSUER"],
        header_types=_list(told["JWT_AUTH_HEADER_PREFIX"]),
        access_life=told["JWT_EXPIRATION_DELTA"],
        refresh_life=told["JWT_REFRESH_EXPIRATION_DELTA"],
        rotates=False,
        blacklists=False,
        refreshes=told["JWT_ALLOW_REFRESH"],
        reads_cookie=bool(told["JWT_AUTH_COOKIE"]),
    )
    doubts = signing.warnings
    for name in ("JWT_VERIFY", "JWT_VERIFY_EXPIRATION"):
        if not told[name]:
            doubts.append(f"{name} is off: the gateway verifies all the same")
    if signing.reads_cookie:
        doubts.append("JWT_AUTH_COOKIE: a token in a cookie is left to the app, with its logout")
    for name, handler in told.items():
        if name.endswith("_HANDLER") and not str(handler).startswith(f"{JWT}."):
            signing.answers_alone = False
            doubts.append(
                f"{name} is the project's own: if its tokens are not the package's, logins are 502"
            )
    return signing


def _list(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _header(name: str) -> str:
    """`HTTP_X_TOKEN`, as WSGI has it, is `X-Token` on the wire."""
    if not name.startswith("HTTP_"):
        raise InitError(f"AUTH_HEADER_NAME {name} is no header that a client can send")
    return "-".join(part.capitalize() for part in name[5:].split("_"))
