"""Whether the store keeps what it is given, from whom it takes orders, and what time it has."""

from collections.abc import AsyncIterator, Callable

from gateway.config import StoreConfig
from gateway.doctor.connection import judged_clock
from gateway.doctor.exposure import addresses_of, own_addresses
from gateway.doctor.finding import Check, Finding, Subject
from gateway.stores.survey import ServerReport, Unsurveyed, answers_without_password, survey

_PATIENCE = 2.0  # seconds for a command, though the gateway may have less
_EVERYWHERE = {"*", "0.0.0.0", "::", "-::*"}  # noqa: S104 - what Redis is bound to


async def examine_store(
    settings: StoreConfig, *, wall: Callable[[], float]
) -> AsyncIterator[Finding]:
    """Findings about each server of the store that takes writes."""
    subject = Subject("store")
    if settings.url.startswith("memory:"):
        yield subject.info(
            Check.STORE_PERSISTENCE,
            "memory://: sessions live in the gateway's process, and end with it",
            "name a Redis in store.url where sessions are to outlive a restart",
        )
        return
    patience = max(settings.timeout, _PATIENCE)
    try:
        reports = await survey(
            settings.url, key_prefix=settings.key_prefix, timeout=patience, wall=wall
        )
    except Unsurveyed as error:
        yield subject.error(
            Check.STORE_REACHABLE,
            f"{error}",
            "start it, or set store.url and its credentials right",
        )
        return
    for report in reports:
        about = subject if len(reports) == 1 else Subject(f"store {report.name}")
        yield about.ok(Check.STORE_REACHABLE, f"{report.name} takes writes")
        yield _eviction(report, about)
        yield _persistence(report, about)
        yield await _access(report, about)
        yield judged_clock(report.ahead, about, leeway=0)


def _eviction(report: ServerReport, subject: Subject) -> Finding:
    policy = report.told.get("maxmemory_policy")
    if policy is None:
        return subject.unknown(Check.STORE_EVICTION, "it does not tell its maxmemory-policy")
    if policy == "noeviction":
        return subject.ok(Check.STORE_EVICTION, "maxmemory-policy is noeviction")
    most = report.told.get("maxmemory_human") or report.told.get("maxmemory", "unknown")
    return subject.error(
        Check.STORE_EVICTION,
        f"maxmemory-policy is {policy} (maxmemory {most}): when memory is full, revocations are "
        "thrown away, and what was revoked is good again",
        "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf; give caches another "
        "Redis",
    )


def _persistence(report: ServerReport, subject: Subject) -> Finding:
    check = Check.STORE_PERSISTENCE
    if report.told.get("aof_enabled") == "1":
        return subject.ok(check, "appendonly is on")
    save = report.settings.get("save")
    remedy = (
        "CONFIG SET appendonly yes, and the same in redis.conf (appendfsync everysec: at most the "
        "last second is lost)"
    )
    if save is None:
        return subject.unknown(
            check, "appendonly is off, and it does not tell whether it saves snapshots", remedy
        )
    replicas = report.told.get("connected_slaves", "0")
    if not save:
        also = "" if replicas == "0" else f" (it has {replicas} replicas)"
        return subject.warning(
            check,
            f"neither appendonly nor save is set{also}: its restart ends every session",
            remedy,
        )
    return subject.info(
        check, f"snapshots alone (save {save}): a crash loses what came after the last", remedy
    )


async def _access(report: ServerReport, subject: Subject) -> Finding:
    """Whether somebody without a password can give it orders, and from where."""
    check, host = Check.STORE_AUTH, report.host
    if not report.is_open:
        return subject.ok(check, "it asks for a password")
    if host is None:
        return subject.info(check, "no password, behind a unix socket: who may open it, may all")
    remedy = (
        "set a password (ACL SETUSER, or requirepass) and name it in store.url from the "
        "environment; bind it to the addresses that need it"
    )
    addresses = await addresses_of(*host)
    public = [each for each in addresses if each.is_global]
    if public:
        return subject.error(
            check, f"it takes orders without a password on the public address {public[0]}", remedy
        )
    distant = [each for each in addresses if not each.is_loopback]
    if distant:
        return subject.warning(
            check,
            f"it takes orders without a password on {distant[0]}, from all who reach that address",
            remedy,
        )
    for own in own_addresses():
        if await answers_without_password((str(own), host[1]), timeout=_PATIENCE):
            return subject.error(
                check,
                f"it is asked on the loopback, and takes orders without a password on {own} too",
                remedy,
            )
    bound = set(report.settings.get("bind", "").split()) & _EVERYWHERE
    if bound and report.settings.get("protected-mode") == "no":
        return subject.error(
            check,
            f"bind is {' '.join(sorted(bound))}, protected-mode is off and there is no password",
            remedy,
        )
    return subject.info(check, "no password, on the loopback alone: every local process may all")
