"""Who a request comes from: its credentials, read and judged by the issuers of its route.

Rules
- None is no usable credential, an exception is a bad one; what that means for the request is the
  route's `auth`.
- Among several issuers each that finds a token in the header judges it; one that accepts wins,
  else the one that the token got furthest with speaks (a right signature before a wrong one).
- The keys of one issuer being away never fails a token of another.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.errors import AuthenticationFailed, ClaimsUnmet, Flaw, KeysUnavailable
from gateway.identity import Identity
from gateway.profiles import Profile, Profiles
from gateway.request import RequestHead
from gateway.tokens.cache import VerifiedTokens
from gateway.tokens.issuer import Issuer
from gateway.tokens.jwks import KeysNeeded
from gateway.tokens.verifier import Progress, TokenRefused

# 18 MB. Half of them are one generation: of up to 10,240 tokens in use none is forgotten.
CACHED_TOKENS = 20_480


class Authenticator:
    """Judges requests for all routes that have these issuers, in this order."""

    def __init__(
        self,
        issuers: Sequence[Issuer],
        profiles: Profiles,
        *,
        wall: Callable[[], float],
        capacity: int = CACHED_TOKENS,
    ) -> None:
        self.cache = VerifiedTokens(capacity=capacity)
        self._wall = wall
        self._issuers = tuple(issuers)
        self._first = issuers[0].name
        readers: dict[bytes, list[tuple[Issuer, Profile]]] = {}
        for issuer in issuers:
            header = issuer.config.auth_header_name.lower().encode()
            readers.setdefault(header, []).append((issuer, profiles.of(issuer.name)))
            if issuer.source is not None:
                issuer.source.on_change(self.cache.clear)
        self._readers = readers
        self._only_header = next(iter(readers)) if len(readers) == 1 else None

    def authenticate(self, request: RequestHead) -> Identity | None:
        """The bearer, or None for a request without a credential of these issuers.

        Raises AuthenticationFailed, KeysUnavailable, and KeysNeeded where an issuer's keys should
        be fetched first.
        """
        # One pass over the headers and one look-up: this is all that most requests cost.
        only = self._only_header
        if only is None:
            return self._authenticate_by_several(request)
        value = None
        for name, text in request.headers:
            if name == only:
                value = text if value is None else value + b"," + text
        if value is None:
            return None
        identity = self.cache.get(value, self._wall())
        if identity is None:
            identity = self._judge({only: value})
            if identity is not None:
                self.cache.put(value, identity)
        return identity

    def _authenticate_by_several(self, request: RequestHead) -> Identity | None:
        found = {name: request.header(name) for name in self._readers}
        values = {name: value for name, value in found.items() if value is not None}
        key = tuple(values.items())
        identity = self.cache.get(key, self._wall())
        if identity is None:
            identity = self._judge(values)
            if identity is not None:
                self.cache.put(key, identity)
        return identity

    def missing(self) -> AuthenticationFailed:
        """What to answer where a credential is required and none came."""
        return AuthenticationFailed(Flaw.MISSING, issuer=self._first)

    def field_for(self, token: bytes) -> tuple[bytes, bytes]:
        """The header field in which to judge a token that came elsewhere, without a word before it.

        It is that of the issuer which accepts the token, else that of the first.

        Raises KeysUnavailable and KeysNeeded where that can't be told yet.
        """
        fields = [_field(issuer, token) for issuer in self._issuers]
        if len(fields) == 1:
            return fields[0]
        doubt: KeysUnavailable | KeysNeeded | None = None
        for name, value in fields:
            try:
                if self._judge_one(name.lower(), value) is not None:
                    return name, value
            except AuthenticationFailed:
                continue
            except (KeysUnavailable, KeysNeeded) as error:
                doubt = doubt or error
        if doubt is not None:
            raise doubt
        return fields[0]

    def _judge(self, values: Mapping[bytes, bytes]) -> Identity | None:
        """The bearer by the first header with a token; a bad token in any header is refused."""
        bearers = [self._judge_one(header, value) for header, value in values.items()]
        return next((bearer for bearer in bearers if bearer is not None), None)

    def _judge_one(self, header: bytes, value: bytes) -> Identity | None:
        """One header's token, read by every issuer that uses this header."""
        failures: list[AuthenticationFailed | KeysUnavailable | KeysNeeded] = []
        for issuer, profile in self._readers[header]:
            try:
                token = profile.credentials(value.strip(b" \t"))
                if token is not None:
                    return issuer.verifier.verify(token)
            except (AuthenticationFailed, KeysUnavailable, KeysNeeded) as failure:
                failures.append(failure)
        if not failures:
            return None
        worst = max(failures, key=_weight)
        if isinstance(worst, KeysNeeded):
            needed = [failure for failure in failures if isinstance(failure, KeysNeeded)]
            raise KeysNeeded(*(source for failure in needed for source in failure.sources))
        raise worst


def require_claims(identity: Identity, required: Mapping[str, Any]) -> None:
    """Raises ClaimsUnmet unless the token has every claim that the route asks for.

    A list asks for all of its members, of a list or of words in a text as in `scope` (RFC 8693
    §4.2); any other value must be equal, and of the same type.
    """
    for name, wanted in required.items():
        found = identity.claims.get(name)
        if isinstance(wanted, list | tuple):
            held = found.split(" ") if isinstance(found, str) else found
            if isinstance(held, list) and all(_holds(held, value) for value in wanted):
                continue
        elif _holds([found], wanted):
            continue
        raise ClaimsUnmet(issuer=identity.issuer)


def _field(issuer: Issuer, token: bytes) -> tuple[bytes, bytes]:
    """The header field in which this issuer's clients send a token."""
    config = issuer.config
    word = config.auth_header_types[0].encode()
    return config.auth_header_name.encode(), b"%b %b" % (word, token)


def _holds(held: list[Any], wanted: object) -> bool:
    return any(type(value) is type(wanted) and value == wanted for value in held)


def _weight(failure: Exception) -> int:
    """Which of several issuers' failures speaks: the first of the heaviest."""
    if isinstance(failure, TokenRefused):
        # A signature that is right settles whose token it is.
        return 9 if failure.progress is Progress.CLAIMS else failure.progress
    if isinstance(failure, KeysNeeded):
        return 8
    return 7 if isinstance(failure, KeysUnavailable) else Progress.FORM
