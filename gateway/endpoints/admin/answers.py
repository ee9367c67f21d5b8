"""What the admin API answers: the models that its OpenAPI document describes."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """Whatever is answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Status(Answer):
    """Whether it serves."""

    version: str
    is_ready: bool
    why: str | None = Field(description="Why it is not ready.")
    workers: int = Field(description="As configured.")
    answering: int = Field(description="Workers that answered this.")
    store_is_up: bool
    inflight_requests: int
    open_websockets: int


class Route(Answer):
    """A route, in the order in which it is tried."""

    name: str
    hosts: list[str] | None = Field(description="Null: all.")
    methods: list[str] | None = Field(description="Null: all.")
    path: str
    auth: str
    issuers: list[str]
    upstream: str
    rate_limit: str | None = Field(description="Such as `30/s per user`.")
    priority: str
    cors: list[str] | None = Field(description="Origins whose pages may read the answers.")
    websocket: bool


class Endpoint(Answer):
    """A path that the gateway answers itself, before any route."""

    issuer: str
    endpoint: str
    hosts: list[str] | None
    path: str
    upstream: str | None


class Routes(Answer):
    """The route table in force."""

    routes: list[Route]
    endpoints: list[Endpoint]


class Server(Answer):
    """One server; connections of all workers together."""

    server: str
    is_up: bool = Field(description="For all workers.")
    up_for: int = Field(description="Workers that would ask it.")
    is_ejected: bool = Field(description="Some worker found that it accepts no connection.")
    fails_checks: bool = Field(description="Its health check fails.")
    circuit: str | None = Field(description="`closed`, `half_open`, `open`; null without breaker.")
    idle: int
    busy: int
    connecting: int


class Upstream(Answer):
    """An upstream, with the limits of each of its workers."""

    name: str
    servers: list[Server]
    pending_requests: int
    load_balancing: str
    identity: str
    max_connections: int = Field(description="For each server and worker.")
    max_pending_requests: int = Field(description="For each worker.")
    concurrency_limit: float | None = Field(description="That was found out, of all workers.")


class Upstreams(Answer):
    """The upstreams, as the workers see them."""

    answering: int = Field(description="Workers that answered this.")
    upstreams: list[Upstream]


class Reason(Answer):
    """Requests that were denied for one reason."""

    reason: str
    total: int
    per_second: float | None


class RouteRequests(Answer):
    """Requests of one route; those of no route are under an empty name."""

    route: str
    total: int
    per_second: float | None = Field(description="Over the last minute; null until that is known.")
    statuses: dict[str, int] = Field(description="By class: 2xx, 3xx, 4xx, 5xx.")
    denied: int
    denied_per_second: float | None
    reasons: list[Reason]


class Outcome(Answer):
    """Refreshes of one outcome, or what was ended for one reason."""

    issuer: str
    word: str
    total: int
    per_second: float | None


class Requests(Answer):
    """What was counted since the start, of all workers."""

    routes: list[RouteRequests]
    refreshes: list[Outcome]
    revocations: list[Outcome]


class Session(Answer):
    """A session that stands."""

    id: str
    began: datetime = Field(description="The login, or the first refresh that came here.")
    refreshed: datetime | None = Field(description="The last rotation.")
    kept_until: datetime = Field(description="When it ends without another refresh.")


class Sessions(Answer):
    """A user's sessions, the newest first."""

    issuer: str
    user: str
    sessions: list[Session]
    is_complete: bool = Field(description="False where there was no time to look at all.")


class Ended(Answer):
    """What was ended; `session` is null for all of the user."""

    issuer: str
    user: str
    session: str | None


class Revocations(Answer):
    """What the workers know to be revoked."""

    entries: int = Field(description="Whose tokens may still be alive; of the worker with most.")
    staleness: float | None = Field(description="Seconds since all was known; null: never yet.")


class Configuration(Answer):
    """The configuration in force: durations in seconds, sizes in bytes, secrets as `***`."""

    config: dict[str, Any]


class Reloaded(Answer):
    """What a reload has changed, or would."""

    is_dry_run: bool
    lines: list[str]


class Problem(Answer):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    lines: list[str] = Field(default=[], description="More of it, line by line.")


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(seconds, 3), UTC)
