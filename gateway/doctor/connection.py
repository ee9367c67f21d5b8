"""What the connection to a server tells: the names it takes, its clock, how long it stays open."""

from email.utils import parsedate_to_datetime

from gateway.doctor.finding import Check, Finding, Subject
from gateway.doctor.plan import CheckedServer, Plan
from gateway.doctor.probe import Probe, Seen, Unanswered

LONGEST_WAIT = 30.0  # seconds that an idle connection is watched

_MARGIN = 0.5  # seconds by which a server should outlive the gateway's use of a connection
_SKEW_TOLD, _SKEW_BAD = 2.0, 60.0  # seconds


async def find_host(plan: Plan, probe: Probe) -> tuple[str, Seen]:
    """The first name that the server takes, and its answer; raises Unanswered.

    Where it takes none it is the first of all, beside what it answered to the last.
    """
    hosts = plan.hosts(probe.address)
    for host in hosts:
        seen = await probe.ask("GET", plan.first_path, host=host)
        if seen.status != 400:
            return host, seen
    return hosts[0], seen


async def allowed_hosts(server: CheckedServer, first: Seen) -> Finding:
    """Whether Django takes the names by which the gateway's clients ask; `first` as found."""
    check, subject, plan = Check.ALLOWED_HOSTS, server.subject, server.plan
    hosts = plan.hosts(server.probe.address)
    if first.status == 400:
        return subject.unknown(
            check,
            f"GET {plan.first_path} is answered 400 for each of {', '.join(hosts)}",
            "name the site's hosts in routes[].hosts, and in Django's ALLOWED_HOSTS",
        )
    asked = plan.named if plan.settings.preserve_host else hosts[:1]
    if not asked:
        return subject.unknown(check, "no route names a host that could be tried")
    refused = []
    for host in asked:
        seen = await server.probe.ask("GET", plan.first_path, host=host)
        if seen.status == 400:
            refused.append(host)
    if refused:
        return subject.error(
            check,
            f"Host: {', '.join(refused)} is answered 400, and {server.probe.host} is not",
            f"ALLOWED_HOSTS += {refused!r} in Django's settings",
        )
    return subject.ok(check, f"it takes {', '.join(asked)}")


def clock(seen: Seen, subject: Subject, *, leeway: float) -> Finding:
    """The server's clock by its Date, which tells whole seconds."""
    try:
        told = parsedate_to_datetime(seen.header("date")).timestamp()
    except (ValueError, TypeError):
        return subject.unknown(Check.CLOCK_SKEW, "the answer has no Date that can be read")
    # Its clock read something in [told, told + 1) at a moment between asking and the answer.
    ahead = max(told - seen.answered, 0.0)
    behind = max(seen.asked - (told + 1), 0.0)
    return judged_clock(ahead - behind, subject, leeway=leeway)


def judged_clock(skew: float, subject: Subject, *, leeway: float) -> Finding:
    """The finding about a clock that is so many seconds ahead of this machine's, or behind."""
    size = abs(skew)
    told = f"its clock is {size:.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
    remedy = "let all machines keep time by NTP (chrony, systemd-timesyncd)"
    if size >= _SKEW_BAD:
        return subject.error(Check.CLOCK_SKEW, told, remedy)
    if size > _SKEW_TOLD + leeway:
        return subject.warning(Check.CLOCK_SKEW, told, remedy)
    return subject.ok(Check.CLOCK_SKEW, f"within {_SKEW_TOLD + leeway:g} s of this machine's clock")


async def keep_alive(server: CheckedServer, probe: Probe) -> Finding:
    """How long the server keeps an idle connection, beside how long the gateway would use one.

    `probe` is one of its own: nobody else may use the connection that is watched.
    """
    idle = server.plan.settings.timeouts.idle
    within = min(idle + 1, LONGEST_WAIT)
    check, subject = Check.KEEP_ALIVE, server.subject
    try:
        lasted = await probe.closes_after(server.plan.first_path, within=within)
    except Unanswered as error:
        return subject.unknown(check, f"{error}")
    if lasted is None:
        return subject.ok(check, f"an idle connection lives longer than {within:g} s")
    if lasted == 0:
        return subject.info(
            check,
            "each answer ends its connection, as Gunicorn's sync workers do: nothing breaks, and "
            "each request pays for a new connection",
            "gunicorn --worker-class gthread --threads 4 keeps connections",
        )
    told = f"an idle connection is closed after {lasted:.1f} s; timeouts.idle is {idle:g} s"
    remedy = (
        f"set upstreams.{server.plan.name}.timeouts.idle below {lasted:.1f} s, or let the server "
        f"keep connections longer (gunicorn --keep-alive {int(idle) + 2})"
    )
    if lasted < idle:
        return subject.error(
            check, f"{told}: a request may meet the end of one, and a POST is then a 502", remedy
        )
    if lasted < idle + _MARGIN:
        return subject.warning(check, f"{told}: there is little between", remedy)
    return subject.ok(check, told)
