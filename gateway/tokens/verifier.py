"""The judgement of one token by one issuer: form, algorithm, signature, claims, in that order.

Rules
- Nothing is hashed or checked against a key before size, form and algorithm are right.
- The keys decide the algorithm, never the token (RFC 8725 §3.1).
- Only an access token is an access token, and only a refresh token refreshes.
- Ids and names are text that headers, store keys and logs can carry, or the token is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any

from gateway.config import IssuerConfig
from gateway.errors import AuthenticationFailed, Flaw
from gateway.identity import Identity
from gateway.tokens.jwks import JwksSource
from gateway.tokens.jws import CompactToken, FlawError
from gateway.tokens.keys import KeySet
from gateway.tokens.rules import check_registered, clean_name, rules_of
from gateway.tokens.session_claims import generation_of, issued_at, session_of

_ACCESS_TYPES = frozenset({None, "jwt", "at+jwt"})  # RFC 9068 §2.1
_ACCESS_WORDS = frozenset({"access", "access_token", "bearer"})
_OTHER_WORDS = frozenset({"refresh", "offline", "id", "logout"})  # `typ` claims of Keycloak
_ID_TOKEN_MARKS = frozenset({"at_hash", "c_hash"})  # OpenID Connect Core §3.3.2.11


class Progress(IntEnum):
    """How far a token got; among several issuers the one where it got furthest speaks."""

    FORM = 0
    SIGNATURE = 1
    CLAIMS = 2


class Use(Enum):
    """What a token is presented for."""

    ACCESS = "access"
    REFRESH = "refresh"
    SLIDING = "sliding"
    ANY = "any"


# By simplejwt's `token_type`; None takes any, also a token without one.
_TYPES: Mapping[Use, frozenset[str] | None] = MappingProxyType(
    {Use.REFRESH: frozenset({"refresh"}), Use.SLIDING: frozenset({"sliding"}), Use.ANY: None}
)
_CLASS_TYPES = {"AccessToken": "access", "SlidingToken": "sliding"}


@dataclass(frozen=True, slots=True)
class Examined:
    """A verified token, taken apart; `header` is that of a token in its place."""

    identity: Identity
    header: Mapping[str, str]
    claims: dict[str, Any] = field(repr=False)

    @property
    def is_managed(self) -> bool:
        """Whether the gateway issued it, as one that refreshes."""
        return "sid" in self.claims and "gen" in self.claims

    def without_key_id(self) -> "Examined":
        """As signed by another key: its `kid` must not name the key of the token in its place."""
        if "kid" not in self.header:
            return self
        header = {name: value for name, value in self.header.items() if name != "kid"}
        return Examined(self.identity, header, self.claims)


class TokenRefused(AuthenticationFailed):
    """A token that an issuer did not accept."""

    def __init__(self, flaw: Flaw, *, issuer: str, progress: Progress) -> None:
        super().__init__(flaw, issuer=issuer)
        self.progress = progress


class Verifier:
    """Judges tokens by one issuer's keys and rules."""

    def __init__(
        self,
        *,
        name: str,
        config: IssuerConfig,
        keys: KeySet,
        source: JwksSource | None,
        wall: Callable[[], float],
    ) -> None:
        self._name = name
        self._config = config
        self._keys = keys
        self._source = source
        self._wall = wall
        self._rules = rules_of(config.profile, config.profile_version)
        is_plain = config.profile == "jwt" and "user_id_claim" not in config.model_fields_set
        self.user_claim = "sub" if is_plain else config.user_id_claim
        access = frozenset(_CLASS_TYPES[name] for name in config.auth_token_classes)
        self._types = {Use.ACCESS: access, **_TYPES}

    def verify(self, token: bytes) -> Identity:
        """Who the access token speaks for.

        Raises TokenRefused, and where its key is not here KeysNeeded or KeysUnavailable.
        """
        return self.examine(token, Use.ACCESS).identity

    def examine(self, token: bytes, use: Use, *, skew: float = 0.0) -> Examined:
        """The token taken apart, verified for this use; raises as `verify` does.

        `skew` in seconds is granted in addition to the leeway.
        """
        parts = self._parsed(token)
        is_own = self._check_signature(parts, use)
        examined = self._judged(parts, use, skew)
        return examined if is_own else examined.without_key_id()

    def read(self, token: bytes, use: Use, *, skew: float = 0.0) -> Examined:
        """As `examine`, but for the signature: of a token that its issuer has just given."""
        return self._judged(self._parsed(token), use, skew)

    def _parsed(self, token: bytes) -> CompactToken:
        try:
            parts = CompactToken.parse(token)
            if parts.algorithm not in self._keys.algorithms:
                raise FlawError(Flaw.INVALID)
        except FlawError as error:
            raise self._refused(error.flaw, Progress.FORM) from error
        return parts

    def _judged(self, parts: CompactToken, use: Use, skew: float) -> Examined:
        try:
            return self._examine(parts, use, skew)
        except FlawError as error:
            raise self._refused(error.flaw, Progress.CLAIMS) from error

    def _check_signature(self, parts: CompactToken, use: Use) -> bool:
        """Whether the token was signed by the key that this issuer signs with now."""
        algorithm, key_id = parts.algorithm, parts.key_id
        source = self._source
        published = source.matching(algorithm, key_id) if source is not None else []
        for key in (*self._keys.matching(algorithm, key_id), *published):
            if key.verifies(algorithm, parts.signing_input, parts.signature):
                return self._keys.signing is not None and key is self._keys.verifying[0]
        is_known = key_id is not None and any(key.key_id == key_id for key in published)
        if source is not None and not is_known:
            issued_at = self._plausible(parts, use)
            source.judge_unknown(key_id, issued_at)
            raise self._refused(Flaw.INVALID, Progress.SIGNATURE)
        raise self._refused(Flaw.UNDECODABLE, Progress.SIGNATURE)

    def _plausible(self, parts: CompactToken, use: Use) -> object:
        """The unverified `iat` of a token that would be good if its key were; else TokenRefused.

        What no key could make good asks for no fetch.
        """
        key_id = parts.key_id
        try:
            if key_id is not None and (clean_name(key_id) is None or ".." in key_id):
                raise FlawError(Flaw.INVALID)
            return self._examine(parts, use, 0.0).claims.get("iat")
        except FlawError as error:
            raise self._refused(Flaw.INVALID, Progress.SIGNATURE) from error

    def _examine(self, parts: CompactToken, use: Use, skew: float) -> Examined:
        config, rules, claims = self._config, self._rules, parts.claims()
        expires_at = check_registered(
            claims,
            rules,
            now=self._wall(),
            leeway=config.leeway + skew,
            audience=config.audience,
            issuer=config.issuer,
        )
        if rules.id_required and config.jti_claim not in claims:
            raise FlawError(Flaw.NO_ID)
        self._check_type(parts.type, claims, use)
        user = self._user_of(claims, is_asked=use is Use.ACCESS or rules.named_by is not None)
        identity = Identity(
            issuer=self._name,
            user_id=user,
            expires_at=expires_at - skew,
            session_id=session_of(
                claims,
                user,
                id_claims=(config.jti_claim, "orig_jti") if rules.named_by else (config.jti_claim,),
                refreshes=config.is_single or claims.get(config.token_type_claim) == "refresh",
            ),
            issued_at=issued_at(claims, is_ours=self._keys.signing is not None),
            generation=generation_of(claims, is_single=config.is_single),
            claims=MappingProxyType(claims),
        )
        return Examined(identity, parts.header, claims)

    def _check_type(self, header_type: str | None, claims: Mapping[str, Any], use: Use) -> None:
        named = claims.get(self._config.token_type_claim)
        if self._rules.type_required:
            wanted = self._types[use]
            if wanted is None:
                return
            if self._config.token_type_claim not in claims:
                raise FlawError(Flaw.NO_TYPE)
            if not isinstance(named, str) or named not in wanted:
                raise FlawError(Flaw.WRONG_TYPE)
        elif self._rules.typed_by_rfc and use is not Use.ANY:
            kind = header_type and header_type.lower().removeprefix("application/")
            if use is Use.REFRESH:
                if "refresh" not in (_lower(named), _lower(claims.get("typ"))):
                    raise FlawError(Flaw.WRONG_TYPE)
            elif (
                kind not in _ACCESS_TYPES
                or (named is not None and _lower(named) not in _ACCESS_WORDS)
                or claims.get("token_use", "access") != "access"
                or _lower(claims.get("typ")) in _OTHER_WORDS
                or (kind != "at+jwt" and not _ID_TOKEN_MARKS.isdisjoint(claims))
            ):
                raise FlawError(Flaw.WRONG_TYPE)

    def _user_of(self, claims: Mapping[str, Any], *, is_asked: bool) -> str:
        """The user; empty where the token names none and none is asked for."""
        name = None
        if self._rules.named_by is not None:
            name = clean_name(claims.get(self._rules.named_by))
            if name is None:
                raise FlawError(Flaw.NO_USER)
        user = claims.get(self.user_claim)
        if user is None and name is None and not is_asked:
            return ""
        found = name if user is None else clean_name(user)
        if found is None:
            raise FlawError(Flaw.NO_USER)
        for claim in ("sub", "username"):
            text = claims.get(claim)
            if isinstance(text, str) and text and clean_name(text) is None:
                raise FlawError(Flaw.INVALID)
        return found

    def _refused(self, flaw: Flaw, progress: Progress) -> TokenRefused:
        return TokenRefused(flaw, issuer=self._name, progress=progress)


def _lower(value: object) -> str | None:
    return value.lower() if isinstance(value, str) else None
