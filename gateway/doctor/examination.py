"""The examination: each server of each upstream, the store and the issuers, all at once.

Rule: a server's checks that could disturb each other follow each other; servers do not wait for
one another. Nothing takes longer than its checks' own bounds.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from gateway.config import Config, IssuerConfig
from gateway.doctor.connection import allowed_hosts, clock, find_host, keep_alive
from gateway.doctor.exposure import exposure
from gateway.doctor.finding import Check, Finding, Severity, Subject
from gateway.doctor.headers import forged_identity, underscores
from gateway.doctor.https import csrf_origin, https_redirect
from gateway.doctor.issuers import examine_issuers
from gateway.doctor.login import find_login
from gateway.doctor.plan import CheckedServer, Plan, guarded_views, plans
from gateway.doctor.probe import Probe, Seen, Unanswered
from gateway.doctor.store import examine_store
from gateway.doctor.wording import wording

LONGEST = 90.0  # seconds for all that is asked of one server

Progress = Callable[[str], None]


async def examine(
    config: Config,
    *,
    paths: Iterable[str] = (),
    wall: Callable[[], float] = time.time,
    progress: Progress = lambda subject: None,
) -> list[Finding]:
    """All findings, in the order of the configuration; `progress` is told each subject at its end.

    `paths` are further ones to ask: those of views that refuse without a token.
    """

    async def about_store() -> list[Finding]:
        found = [finding async for finding in examine_store(config.store, wall=wall)]
        progress("store")
        return found

    async def about_server(plan: Plan, index: int) -> list[Finding]:
        subject = Subject(f"upstreams.{plan.name}.servers[{index}]")
        found = await _examine_server(plan, index, subject, issuers=config.issuers, wall=wall)
        progress(subject.path)
        return found

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(about_store())]
        for plan in plans(config, paths=tuple(paths)):
            for index in range(len(plan.settings.servers)):
                asked.append(group.create_task(about_server(plan, index)))
    found = [finding for task in asked for finding in task.result()]
    return [*examine_issuers(config), *found]


async def _examine_server(
    plan: Plan,
    index: int,
    subject: Subject,
    *,
    issuers: Mapping[str, IssuerConfig],
    wall: Callable[[], float],
) -> list[Finding]:
    """What is found about one server, which has a limited time for all of it."""
    address = plan.settings.servers[index]
    probe = Probe(address, host="localhost", wall=wall)
    watching = Probe(address, host="localhost", wall=wall)
    try:
        async with asyncio.timeout(LONGEST):
            return await _examined(plan, probe, watching, subject, issuers=issuers)
    except Unanswered as error:
        return [_unreachable(subject, f"{address.url}: {error}")]
    except TimeoutError:
        return [_unreachable(subject, f"{address.url} needs more than {LONGEST:g} s for this")]
    finally:
        await probe.close()
        await watching.close()


async def _examined(
    plan: Plan,
    probe: Probe,
    watching: Probe,
    subject: Subject,
    *,
    issuers: Mapping[str, IssuerConfig],
) -> list[Finding]:
    host, first = await find_host(plan, probe)
    probe.host = watching.host = host
    exposed = await exposure(probe.address, subject)
    redirect, scheme = await https_redirect(plan, probe, subject)
    server = CheckedServer(
        plan=plan,
        probe=probe,
        subject=subject,
        scheme=scheme,
        guarded=await guarded_views(plan, probe, scheme=scheme),
        is_exposed=exposed.severity in (Severity.ERROR, Severity.WARNING),
    )
    async with asyncio.TaskGroup() as group:
        kept = group.create_task(keep_alive(server, watching))
        checked = group.create_task(_check(server, issuers, first=first))
    return [
        subject.ok(Check.UPSTREAM_REACHABLE, f"{probe.address.url} answers {first.status}"),
        exposed,
        clock(first, subject, leeway=_leeway(plan, issuers)),
        redirect,
        *checked.result(),
        kept.result(),
    ]


async def _check(
    server: CheckedServer, issuers: Mapping[str, IssuerConfig], *, first: Seen
) -> list[Finding]:
    """What is asked one after the other; what was found is kept where the server falls silent."""
    found: list[Finding] = []
    try:
        found.append(await allowed_hosts(server, first))
        login = await find_login(server.probe, scheme=server.scheme)
        found.append(await csrf_origin(server, login))
        forged, believed = await forged_identity(server)
        found.append(forged)
        found.append(await underscores(server, believed=believed, login=login))
        found += await wording(server, issuers)
    except Unanswered as error:
        found.append(
            server.subject.warning(
                Check.UPSTREAM_REACHABLE,
                f"it answered at first, and then not: {error}",
                "look into the server's log; what was not asked was left out",
            )
        )
    return found


def _unreachable(subject: Subject, evidence: str) -> Finding:
    return subject.error(
        Check.UPSTREAM_REACHABLE,
        evidence,
        "start the server, or correct its address; the other checks of it were left out",
    )


def _leeway(plan: Plan, issuers: Mapping[str, IssuerConfig]) -> float:
    """The least that the issuers of this upstream's tokens grant."""
    names = {name for asked in plan.asked for name in asked.route.issuers}
    return min((issuers[name].leeway for name in names), default=0.0)
