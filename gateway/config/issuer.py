"""An issuer: who signs tokens, how they are verified, and what their life cycle is."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, WithJsonSchema

from gateway.config.secret import Secret
from gateway.config.section import OneOrMany, Section, key
from gateway.config.units import (
    AuthScheme,
    Count,
    Duration,
    HeaderName,
    Host,
    HttpUrl,
    Method,
    NamedOrigin,
    PositiveDuration,
    Text,
    UrlPath,
)

Profile = Literal["simplejwt", "drf-jwt", "djangorestframework-jwt", "jwt"]
Algorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512",
    "PS256", "PS384", "PS512", "EdDSA",
]  # fmt: skip

# The release whose wording applies when none is given; plain JWT has no package and no release.
_LATEST_RELEASE = {"simplejwt": "5.5", "drf-jwt": "1.19", "djangorestframework-jwt": "1.11"}


def _latest_release(data: dict[str, Any]) -> str:
    return _LATEST_RELEASE.get(data.get("profile", ""), "")


def _header_types(data: dict[str, Any]) -> tuple[str, ...]:
    return ("JWT",) if data.get("profile") == "djangorestframework-jwt" else ("Bearer",)


def _token_class(value: Any) -> Any:
    """The class's name; SIMPLE_JWT writes it with its module."""
    return value.rpartition(".")[2] if isinstance(value, str) else value


def _release_text(value: Any) -> Any:
    """YAML reads an unquoted 5.5 as a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _release(value: str, info: ValidationInfo) -> str:
    latest = _latest_release(info.data)
    if value == latest:
        return value
    if not latest:
        raise ValueError("only the profiles of packages have a version")
    found = re.fullmatch(r"([0-9]{1,3})\.([0-9]{1,3})(\.[0-9]{1,3})?", value, re.ASCII)
    if found is None or found[1] != latest.partition(".")[0]:
        raise ValueError(f'must be a release of the package, such as "{latest}" (in quotes)')
    return f"{found[1]}.{found[2]}"


class EndpointsConfig(Section):
    """The paths at which clients get, refresh, check and end tokens."""

    hosts: tuple[Host, ...] | None = key(
        None,
        description="Host names, also *.example.org, under which they are answered; null: all.",
        min_length=1,
    )
    obtain: UrlPath | None = key("/gettoken/", description="Login; null for none.")
    refresh: UrlPath | None = key("/refreshtoken/", description="Refresh; null for none.")
    verify: UrlPath | None = key("/verifytoken/", description="Verify; null for none.")
    blacklist: UrlPath | None = key("/logout/", description="Logout; null for none.")
    blacklist_all: UrlPath | None = key(None, description="Ends all sessions of the bearer.")

    def paths(self) -> dict[str, str]:
        """The paths that are set, by their key."""
        named = ("obtain", "refresh", "verify", "blacklist", "blacklist_all")
        found = {name: getattr(self, name) for name in named}
        return {name: path for name, path in found.items() if path is not None}


_NO_ENDPOINTS = dict.fromkeys(("obtain", "refresh", "verify", "blacklist"))


def _endpoints(data: dict[str, Any]) -> EndpointsConfig:
    """Plain JWT has no package whose paths clients could know."""
    return EndpointsConfig(**(_NO_ENDPOINTS if data.get("profile") == "jwt" else {}))


class CookieConfig(Section):
    """Browser mode: the refresh token in an HttpOnly cookie."""

    name: AuthScheme = key("refresh_token", description="Name of the cookie.")
    path: UrlPath | None = key(
        None, description="Path of the cookie; null: one cookie for each path that reads it."
    )
    same_site: Literal["strict", "lax", "none"] = key("strict", description="SameSite.")
    secure: bool = key(True, description="Only sent over HTTPS.")
    origins: tuple[NamedOrigin, ...] = key(
        (), description="Other origins whose pages may use the cookie, such as https://app.example."
    )


class RevokeOnConfig(Section):
    """A request whose success ends the user's sessions."""

    path: UrlPath = key(description="The exact path, such as that of a password change.")
    methods: tuple[Method, ...] = key(("POST",), description="The methods.", min_length=1)


class LoginGuardConfig(Section):
    """How many failed logins are borne, for each user name and for each client address."""

    failures: Count = key(10, description="Failures within the window; the next get 429.")
    window: PositiveDuration = key("1m", description="The window.")
    longest: PositiveDuration = key(
        "15m", description="Each further failure doubles the wait, up to this."
    )
    username_fields: tuple[Text, ...] = key(
        ("username", "email"), description="Fields of the login's body that name a user."
    )


class IssuerConfig(Section):
    """Who signs tokens, and what their life cycle is; keys as in SIMPLE_JWT and JWT_AUTH."""

    profile: Profile = key("simplejwt", description="Whose wording and wire form apply.")
    profile_version: Annotated[
        str,
        BeforeValidator(_release_text),
        AfterValidator(_release),
        WithJsonSchema({"type": ["string", "number"]}),
    ] = key(
        default_factory=_latest_release,
        description="Release of the package, whose wording differs; default: the latest known.",
    )
    algorithm: Annotated[tuple[Algorithm, ...], OneOrMany()] = key(
        "HS256",
        description="The only accepted signature algorithm, or a list of one family.",
        min_length=1,
    )
    signing_key: Secret | None = key(
        None, description="HMAC secret or private key; required without verifying_key or jwk_url."
    )
    verifying_key: Annotated[tuple[Secret, ...], OneOrMany()] = key(
        None, description="Public key or secret that verifies; a list while keys rotate."
    )
    jwk_url: HttpUrl | None = key(None, description="JWK Set that verifies.")
    audience: Annotated[tuple[Text, ...], OneOrMany()] = key(
        None, description="Required `aud`, one or several; null: not checked."
    )
    issuer: Text | None = key(None, description="Required `iss`; null: not checked.")
    leeway: Duration = key("0s", description="Clock skew granted to exp, nbf and iat.")
    user_id_claim: Text = key("user_id", description="Claim that names the user.")
    token_type_claim: Text = key("token_type", description="Claim that tells access, refresh.")
    jti_claim: Text = key("jti", description="Claim with the token's id.")
    auth_header_types: tuple[AuthScheme, ...] = key(
        default_factory=_header_types,
        description="Words before the token; default: JWT for djangorestframework-jwt, "
        "else Bearer.",
        min_length=1,
    )
    auth_header_name: HeaderName = key("Authorization", description="Header with the token.")
    auth_token_classes: Annotated[
        tuple[
            Annotated[Literal["AccessToken", "SlidingToken"], BeforeValidator(_token_class)], ...
        ],
        OneOrMany(),
    ] = key(
        ("AccessToken",),
        description="Of simplejwt: whether the API takes AccessToken, SlidingToken, or both.",
        min_length=1,
    )
    sliding_token_lifetime: PositiveDuration = key("5m", description="Life of a sliding token.")
    access_token_lifetime: PositiveDuration = key("5m", description="Life of an access token.")
    refresh_token_lifetime: PositiveDuration = key(
        "1d", description="Life of a refresh token; of the older packages, since the login."
    )
    rotate_refresh_tokens: bool = key(True, description="A refresh gives a new refresh token.")
    blacklist_after_rotation: bool = key(True, description="A rotated token can't be reused.")
    refresh_grace: Duration = key(
        "10s", description="How long a retried refresh gets the same successor."
    )
    session_lifetime: PositiveDuration | None = key(
        None, description="End of a session however often refreshed; null: none."
    )
    upstream: Text | None = key(
        None,
        description="Where login is forwarded; null: the upstream of the issuer's name, or the "
        "only one.",
    )
    check_user: UrlPath | None = key(
        None, description="Path fetched on refresh with the new token; 401/403 ends the session."
    )
    endpoints: EndpointsConfig = key(
        default_factory=_endpoints,
        description="The exact paths that clients use; default for the profile jwt: none.",
    )
    login_guard: LoginGuardConfig | None = key(
        default_factory=LoginGuardConfig,
        description="Failed logins, counted by user name and by address; null: not counted.",
    )
    cookie: CookieConfig | None = key(None, description="Browser mode; null: tokens in JSON.")
    revoke_on: tuple[RevokeOnConfig, ...] = key(
        (), description="Requests whose 2xx answer ends the user's sessions."
    )

    @property
    def is_sliding(self) -> bool:
        """Whether simplejwt's sliding tokens take the place of pairs."""
        return self.profile == "simplejwt" and self.auth_token_classes == ("SlidingToken",)

    @property
    def is_single(self) -> bool:
        """Whether one token is both the access token and the one that refreshes."""
        return self.is_sliding or self.profile in ("drf-jwt", "djangorestframework-jwt")
