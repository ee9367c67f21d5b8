"""What can go wrong with a request: each error knows its status and its one short reason.

An error never carries a body: wording belongs to `profiles/`. The reason is the same word in the
answer, the access log, the metric label and the documentation.

    GatewayError
    ├── RequestRefused        400 405 413 414 431   the request itself is at fault
    ├── MethodNotAllowed      405                   at a token endpoint
    ├── BodyInvalid           400 415               a token endpoint can't read the body
    ├── FieldInvalid          400                   … or finds no token in it
    ├── GivenTokenRefused     401 (400)             … or not a good one (see `Flaw`)
    ├── CrossSiteRefused      403                   a cookie's request from another site
    ├── RateLimited           429                   too often
    ├── RouteNotFound         404
    ├── AuthenticationFailed  401                   no token, or not a good one (see `Flaw`)
    ├── ClaimsUnmet           403                   a good token without the claims a route requires
    ├── KeysUnavailable       503                   the token can't be judged now: never a 401
    ├── StoreUnavailable      503                   nor can its revocation
    ├── TooManyConnections    503                   more than `server.max_connections`
    ├── ShuttingDown          503                   the graceful stop ran out of time
    └── UpstreamError         502 503 504           refused, broken, timed out, saturated
"""

from enum import Enum


class Flaw(Enum):
    """Why a token was not accepted; the value is the public reason of the denial.

    The packages word these differently, and some alike: profiles map flaws to sentences.
    """

    MISSING = ("missing", "token_missing")
    HEADER_EMPTY = ("header_empty", "header_invalid")  # a prefix, and nothing behind it
    HEADER_PARTS = ("header_parts", "header_invalid")  # more parts than prefix and token
    UNDECODABLE = ("undecodable", "token_invalid")  # not a JWS, or its signature is wrong
    INVALID = ("invalid", "token_invalid")  # algorithm, crit, nbf, iat, aud, iss, types
    EXPIRED = ("expired", "token_expired")
    NO_EXPIRY = ("no_expiry", "token_invalid")
    NO_ID = ("no_id", "token_invalid")
    NO_TYPE = ("no_type", "token_wrong_type")
    WRONG_TYPE = ("wrong_type", "token_wrong_type")
    NO_USER = ("no_user", "token_invalid")
    REVOKED = ("revoked", "token_revoked")
    NO_ORIGIN = ("no_origin", "token_invalid")  # no orig_iat: it can't be refreshed
    NO_REFRESH_EXPIRY = ("no_refresh_expiry", "token_invalid")  # a sliding token's refresh_exp
    REFRESH_EXPIRED = ("refresh_expired", "token_expired")
    NO_ACCOUNT = ("no_account", "account_inactive")  # the upstream's word on the user

    @property
    def reason(self) -> str:
        return self.value[1]


class GatewayError(Exception):
    """The root of all answers that the gateway gives instead of an upstream.

    `status` is the HTTP status, `reason` the short word; `str(error)` is a sentence for people
    that never contains anything the client sent. `fields` are further header fields of the answer.
    """

    status = 500
    reason = "internal_error"
    retry_after: int | None = None  # seconds
    fields: tuple[tuple[bytes, bytes], ...] = ()


class RequestRefused(GatewayError):
    """The request can't be forwarded as it is."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason


class RouteNotFound(GatewayError):
    status = 404
    reason = "route_not_found"

    def __init__(self) -> None:
        super().__init__("no route matches this request")


class AuthenticationFailed(GatewayError):
    """No usable token, or a bad one; `issuer` names whose wording applies."""

    status = 401

    def __init__(self, flaw: Flaw, *, issuer: str) -> None:
        super().__init__(flaw.reason)
        self.flaw = flaw
        self.issuer = issuer
        self.reason = flaw.reason


class ClaimsUnmet(GatewayError):
    """The token is good but lacks what the route requires."""

    status = 403
    reason = "claims_unmet"

    def __init__(self, *, issuer: str) -> None:
        super().__init__("the token lacks claims that this route requires")
        self.issuer = issuer


class MethodNotAllowed(GatewayError):
    """A token endpoint was asked with another method than POST and OPTIONS."""

    status = 405
    reason = "method_not_allowed"

    def __init__(self, method: str, *, issuer: str) -> None:
        super().__init__("this method is not allowed here")
        self.method = method
        self.issuer = issuer


class BodyInvalid(GatewayError):
    """A token endpoint could not read the body; `wording` is REST framework's own sentence.

    `is_doubtful` where an upstream may read what the gateway does not.
    """

    status = 400
    reason = "body_invalid"

    def __init__(
        self, wording: str, *, issuer: str, status: int = 400, is_doubtful: bool = False
    ) -> None:
        super().__init__("the request body can't be read")
        self.is_doubtful = is_doubtful
        self.wording = wording
        self.issuer = issuer
        self.status = status


class FieldInvalid(GatewayError):
    """A field of the body is missing or wrong; `field` is empty for the body as a whole.

    `wording` is REST framework's own sentence.
    """

    status = 400
    reason = "field_invalid"

    def __init__(self, field: str, wording: str, *, issuer: str) -> None:
        super().__init__("a field of the request body is missing or not valid")
        self.field = field
        self.wording = wording
        self.issuer = issuer


class GivenTokenRefused(GatewayError):
    """The token in a token endpoint's body is not good; the older packages answer 400.

    `endpoint` is its key in the configuration, such as refresh.
    """

    status = 401

    def __init__(self, flaw: Flaw, *, issuer: str, endpoint: str) -> None:
        super().__init__(flaw.reason)
        self.flaw = flaw
        self.issuer = issuer
        self.endpoint = endpoint
        self.reason = flaw.reason


class CrossSiteRefused(GatewayError):
    """Another site's page sent a request that would use the refresh token's cookie."""

    status = 403
    reason = "cross_site"

    def __init__(self, *, issuer: str) -> None:
        super().__init__("requests with this cookie are taken from the site's own pages alone")
        self.issuer = issuer


class RateLimited(GatewayError):
    """Too many requests, or failed logins; `retry_after` in whole seconds."""

    status = 429
    reason = "rate_limited"

    def __init__(self, *, issuer: str, retry_after: int) -> None:
        super().__init__("too many requests")
        self.issuer = issuer
        self.retry_after = retry_after


class StoreUnavailable(GatewayError):
    """The store of sessions is away; never a 401, for clients throw their tokens away then."""

    status = 503
    reason = "store_unavailable"
    retry_after = 1

    def __init__(self, *, issuer: str = "") -> None:
        super().__init__("the store of sessions can't be reached")
        self.issuer = issuer


class KeysUnavailable(GatewayError):
    """The issuer's keys can't be had at present, so the token can't be judged."""

    status = 503
    reason = "keys_unavailable"

    def __init__(self, *, issuer: str, retry_after: int) -> None:
        super().__init__("the keys to verify this token are not available at present")
        self.issuer = issuer
        self.retry_after = retry_after


class TooManyConnections(GatewayError):
    """The worker has as many client connections open as it may have."""

    status = 503
    reason = "too_many_connections"
    retry_after = 1

    def __init__(self) -> None:
        super().__init__("too many connections are open")


class ShuttingDown(GatewayError):
    """The request was still under way when the time for a graceful stop was over."""

    status = 503
    reason = "shutting_down"
    retry_after = 1

    def __init__(self) -> None:
        super().__init__("the gateway is shutting down")


class UpstreamError(GatewayError):
    """The upstream gave no usable answer."""

    def __init__(
        self, status: int, reason: str, detail: str, *, retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    @classmethod
    def refused(cls) -> "UpstreamError":
        return cls(502, "upstream_refused", "the upstream did not accept a connection")

    @classmethod
    def broken(cls, detail: str = "the upstream gave no valid answer") -> "UpstreamError":
        return cls(502, "upstream_broken", detail)

    @classmethod
    def timeout(cls) -> "UpstreamError":
        return cls(504, "upstream_timeout", "the upstream did not answer in time")

    @classmethod
    def saturated(cls) -> "UpstreamError":
        detail = "all connections to the upstream are busy"
        return cls(503, "upstream_saturated", detail, retry_after=1)

    @classmethod
    def overloaded(cls) -> "UpstreamError":
        detail = "the upstream has as many requests as it can bear"
        return cls(503, "upstream_overloaded", detail, retry_after=1)

    @classmethod
    def unhealthy(cls, *, retry_after: int) -> "UpstreamError":
        return cls(503, "no_healthy_upstream", "no server is well", retry_after=retry_after)
