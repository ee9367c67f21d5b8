"""What the admin API does: all workers answer as one, and no answer holds a secret or a token."""

import logging
from typing import Any, Protocol

from starlette.requests import Request

from gateway import __version__
from gateway.config.masked import masked
from gateway.endpoints.admin import answers, report
from gateway.endpoints.admin.fleet import Fleet, Question, State, Unanswered
from gateway.endpoints.admin.operations import (
    DRY_RUN,
    IN_STORE,
    ISSUER,
    SESSION,
    USER,
    Operation,
    asked,
    is_asked,
)
from gateway.endpoints.admin.problems import ApiProblem
from gateway.stores.base import Listing
from gateway.telemetry.rates import Rates
from gateway.telemetry.summed import Snapshot

_LOG = logging.getLogger(__name__)


class Outcome(Protocol):
    """What came of a reload, in lines for people."""

    @property
    def is_done(self) -> bool: ...
    @property
    def lines(self) -> tuple[str, ...]: ...


class Reloads(Protocol):
    """Takes the configuration anew."""

    async def reload(self) -> Outcome: ...

    async def preview(self) -> Outcome:
        """What a reload would change."""
        ...


class Api:
    """The operations, over the workers."""

    def __init__(self, fleet: Fleet, *, reloads: Reloads, rates: Rates) -> None:
        self._fleet = fleet
        self._reloads = reloads
        self._rates = rates

    async def status(self, request: Request) -> answers.Status:
        why = await self._fleet.unready_because()
        states = await self._states()
        metrics = await self._fleet.snapshot()
        return answers.Status(
            version=__version__,
            is_ready=why is None,
            why=why,
            workers=self._fleet.config.server.workers,
            answering=len(states),
            store_is_up=bool(states) and all(state.store_is_up for state in states),
            inflight_requests=_gauge(metrics, "gateway_inflight_requests"),
            open_websockets=_gauge(metrics, "gateway_open_websockets"),
        )

    async def routes(self, request: Request) -> answers.Routes:
        return report.routes(self._fleet.config)

    async def upstreams(self, request: Request) -> answers.Upstreams:
        return report.upstreams(self._fleet.config, await self._states())

    async def requests(self, request: Request) -> answers.Requests:
        return report.requests(self._rates.counts(await self._fleet.snapshot()))

    async def revocations(self, request: Request) -> answers.Revocations:
        states = await self._states()
        if not states:
            raise ApiProblem("no worker answers", status=503, code="no_worker")
        ages = [state.staleness for state in states if state.staleness is not None]
        return answers.Revocations(
            entries=max(state.revocations for state in states),
            staleness=round(max(ages), 3) if len(ages) == len(states) else None,
        )

    async def sessions(self, request: Request) -> answers.Sessions:
        issuer, user = self._issuer(asked(request, ISSUER)), asked(request, USER)
        found: Listing = await self._ask(Question.SESSIONS, issuer, user)
        return answers.Sessions(
            issuer=issuer,
            user=user,
            sessions=[report.session(one) for one in found.sessions],
            is_complete=found.is_complete,
        )

    async def end_all(self, request: Request) -> answers.Ended:
        issuer, user = self._issuer(asked(request, ISSUER)), asked(request, USER)
        await self._ask(Question.END_ALL, issuer, user)
        _LOG.info("an operator ended all sessions of user %r of %s", user, issuer)
        return answers.Ended(issuer=issuer, user=user, session=None)

    async def end_one(self, request: Request) -> answers.Ended:
        issuer = self._issuer(request.path_params[ISSUER.name])
        session, user = request.path_params[SESSION.name], asked(request, USER)
        if not await self._ask(Question.REVOKE, issuer, user, session):
            told = "this user has no such session, or it has ended before"
            raise ApiProblem(told, status=404, code="session_unknown")
        _LOG.info("an operator ended a session of user %r of %s", user, issuer)
        return answers.Ended(issuer=issuer, user=user, session=session)

    async def configuration(self, request: Request) -> answers.Configuration:
        return answers.Configuration(config=masked(self._fleet.config))

    async def reload(self, request: Request) -> answers.Reloaded:
        is_dry_run = is_asked(request, DRY_RUN)
        outcome = await (self._reloads.preview() if is_dry_run else self._reloads.reload())
        if not outcome.is_done:
            raise ApiProblem(
                "the configuration was refused, and the one from before stays in force",
                status=422,
                code="config_refused",
                lines=outcome.lines,
            )
        return answers.Reloaded(is_dry_run=is_dry_run, lines=[*outcome.lines])

    async def _states(self) -> list[State]:
        return [*await self._fleet.ask_each(Question.STATE)]

    async def _ask(self, question: Question, *arguments: str) -> Any:
        try:
            return await self._fleet.ask_one(question, *arguments)
        except Unanswered as error:
            status = 404 if error.code == "issuer_unknown" else 503
            raise ApiProblem(str(error), status=status, code=error.code) from error

    def _issuer(self, name: str) -> str:
        if name not in self._fleet.config.issuers:
            raise ApiProblem("there is no such issuer", status=404, code="issuer_unknown")
        return name


OPERATIONS = (
    Operation("GET", "/status", "Whether it serves", answers.Status, Api.status),
    Operation("GET", "/routes", "The route table", answers.Routes, Api.routes),
    Operation(
        "GET",
        "/upstreams",
        "Upstreams, their servers and health",
        answers.Upstreams,
        Api.upstreams,
    ),
    Operation(
        "GET",
        "/requests",
        "Requests, denials and refreshes",
        answers.Requests,
        Api.requests,
    ),
    Operation(
        "GET",
        "/revocations",
        "What workers know to be revoked",
        answers.Revocations,
        Api.revocations,
        codes=((503, "no_worker"),),
    ),
    Operation(
        "GET",
        "/sessions",
        "A user's sessions",
        answers.Sessions,
        Api.sessions,
        (ISSUER, USER),
        IN_STORE,
    ),
    Operation(
        "DELETE",
        "/sessions",
        "End all sessions of a user",
        answers.Ended,
        Api.end_all,
        (ISSUER, USER),
        IN_STORE,
    ),
    Operation(
        "DELETE",
        "/sessions/{issuer}/{session:path}",  # an adopted one may have any id
        "End one session of a user",
        answers.Ended,
        Api.end_one,
        (ISSUER, SESSION, USER),
        (*IN_STORE, (404, "session_unknown")),
    ),
    Operation(
        "GET",
        "/config",
        "The configuration in force, without its secrets",
        answers.Configuration,
        Api.configuration,
    ),
    Operation(
        "POST",
        "/reload",
        "Take the configuration file anew",
        answers.Reloaded,
        Api.reload,
        (DRY_RUN,),
        ((400, "parameter_invalid"), (422, "config_refused")),
    ),
)


def _gauge(metrics: Snapshot, name: str) -> int:
    return int(
        sum(value for family in metrics for sample, _, value in family.samples if sample == name)
    )
