"""The judgement of one token by one issuer: form, algorithm, signature, claims, in that order.

Rules
- Nothing is hashed or checked against a key before size, form and algorithm are right.
- The keys decide the algorithm, never the token (RFC 8725 §3.1).
- Only an access token is an access token.
- Ids and names are text that headers, store keys and logs can carry, or the token is refused.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from gateway.config import IssuerConfig
from gateway.errors import AuthenticationFailed, Flaw
from gateway.identity import Identity
from gateway.tokens.jwks import JwksSource
from gateway.tokens.jws import CompactToken, FlawError
from gateway.tokens.keys import KeySet
from gateway.tokens.rules import check_registered, clean_name, rules_of

_ACCESS_TYPES = frozenset({None, "jwt", "at+jwt"})  # RFC 9068 §2.1
_ACCESS_WORDS = frozenset({"access", "access_token", "bearer"})
_OTHER_WORDS = frozenset({"refresh", "offline", "id", "logout"})  # `typ` claims of Keycloak
_ID_TOKEN_MARKS = frozenset({"at_hash", "c_hash"})  # OpenID Connect Core §3.3.2.11


class Progress(IntEnum):
    """How far a token got; among several issuers the one where it got furthest speaks."""

    FORM = 0
    SIGNATURE = 1
    CLAIMS = 2


class TokenRefused(AuthenticationFailed):
    """A token that an issuer did not accept."""

    def __init__(self, flaw: Flaw, *, issuer: str, progress: Progress) -> None:
        super().__init__(flaw, issuer=issuer)
        self.progress = progress


class Verifier:
    """Judges access tokens by one issuer's keys and rules."""

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

    def verify(self, token: bytes) -> Identity:
        """Who the token speaks for.

        Raises TokenRefused, and where its key is not here KeysNeeded or KeysUnavailable.
        """
        try:
            parts = CompactToken.parse(token)
            if parts.algorithm not in self._keys.algorithms:
                raise FlawError(Flaw.INVALID)
        except FlawError as error:
            raise self._refused(error.flaw, Progress.FORM) from error
        self._check_signature(parts)
        try:
            return self._identify(parts)
        except FlawError as error:
            raise self._refused(error.flaw, Progress.CLAIMS) from error

    def _check_signature(self, parts: CompactToken) -> None:
        algorithm, key_id = parts.algorithm, parts.key_id
        source = self._source
        published = source.matching(algorithm, key_id) if source is not None else []
        for key in (*self._keys.matching(algorithm, key_id), *published):
            if key.verifies(algorithm, parts.signing_input, parts.signature):
                return
        is_known = key_id is not None and any(key.key_id == key_id for key in published)
        if source is not None and not is_known:
            issued_at = self._plausible(parts)
            source.judge_unknown(key_id, issued_at)
            raise self._refused(Flaw.INVALID, Progress.SIGNATURE)
        raise self._refused(Flaw.UNDECODABLE, Progress.SIGNATURE)

    def _plausible(self, parts: CompactToken) -> object:
        """The unverified `iat` of a token that would be good if its key were; else TokenRefused.

        What no key could make good asks for no fetch.
        """
        key_id = parts.key_id
        try:
            if key_id is not None and (clean_name(key_id) is None or ".." in key_id):
                raise FlawError(Flaw.INVALID)
            return self._identify(parts).claims.get("iat")
        except FlawError as error:
            raise self._refused(Flaw.INVALID, Progress.SIGNATURE) from error

    def _identify(self, parts: CompactToken) -> Identity:
        config, rules, claims = self._config, self._rules, parts.claims()
        expires_at = check_registered(
            claims,
            rules,
            now=self._wall(),
            leeway=config.leeway,
            audience=config.audience,
            issuer=config.issuer,
        )
        if rules.id_required and config.jti_claim not in claims:
            raise FlawError(Flaw.NO_ID)
        self._check_type(parts.type, claims)
        return Identity(
            issuer=self._name,
            user_id=self._user_of(claims),
            expires_at=expires_at,
            session_id=self._session_of(claims),
            claims=MappingProxyType(claims),
        )

    def _check_type(self, header_type: str | None, claims: Mapping[str, Any]) -> None:
        named = claims.get(self._config.token_type_claim)
        if self._rules.type_required:
            if self._config.token_type_claim not in claims:
                raise FlawError(Flaw.NO_TYPE)
            if named != "access":
                raise FlawError(Flaw.WRONG_TYPE)
        elif self._rules.typed_by_rfc:
            kind = header_type and header_type.lower().removeprefix("application/")
            if (
                kind not in _ACCESS_TYPES
                or (named is not None and _lower(named) not in _ACCESS_WORDS)
                or claims.get("token_use", "access") != "access"
                or _lower(claims.get("typ")) in _OTHER_WORDS
                or (kind != "at+jwt" and not _ID_TOKEN_MARKS.isdisjoint(claims))
            ):
                raise FlawError(Flaw.WRONG_TYPE)

    def _user_of(self, claims: Mapping[str, Any]) -> str:
        name = None
        if self._rules.named_by is not None:
            name = clean_name(claims.get(self._rules.named_by))
            if name is None:
                raise FlawError(Flaw.NO_USER)
        user = claims.get(self.user_claim)
        found = name if user is None else clean_name(user)
        if found is None:
            raise FlawError(Flaw.NO_USER)
        for claim in ("sub", "username"):
            text = claims.get(claim)
            if isinstance(text, str) and text and clean_name(text) is None:
                raise FlawError(Flaw.INVALID)
        return found

    def _session_of(self, claims: Mapping[str, Any]) -> str | None:
        session = None
        for claim in (self._config.jti_claim, "sid"):
            if claim in claims:
                session = clean_name(claims[claim])
                if session is None:
                    raise FlawError(Flaw.INVALID)
        return session

    def _refused(self, flaw: Flaw, progress: Progress) -> TokenRefused:
        return TokenRefused(flaw, issuer=self._name, progress=progress)


def _lower(value: object) -> str | None:
    return value.lower() if isinstance(value, str) else None
