"""What the upstream is told about the bearer: one class per identity mode, header lines out.

Rule: whatever a mode says, it says alone. `removed` are the client's own fields of those names,
taken away before, in every spelling (`headers.py`).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from gateway.errors import ClaimsUnmet
from gateway.identity import Identity

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_MINTED = 10_000  # bound of the remembered tokens


class IdentityMode(Protocol):
    """How one upstream learns who asks."""

    removed: tuple[bytes, ...]

    def lines(self, identity: Identity | None) -> bytes:
        """Whole header lines for this bearer, None being an anonymous one."""
        ...


class Passthrough:
    """The client's own token goes on, as it came."""

    removed: tuple[bytes, ...] = ()

    def lines(self, identity: Identity | None) -> bytes:
        return b""


class Untold:
    """The upstream hears nothing of the bearer: the credentials end here."""

    def __init__(self, credentials: Iterable[bytes]) -> None:
        self.removed = tuple(credentials)

    def lines(self, identity: Identity | None) -> bytes:
        return b""


class IdentityHeaders:
    """Header fields made of claims, `{X-User-Id: "{user_id}"}`; the credentials end here.

    A field is left out where a claim that it needs is absent. Values are Latin-1, which is what
    WSGI makes of them. Raises ClaimsUnmet for a claim that can't stand in a header exactly.
    """

    def __init__(self, templates: Mapping[str, str], *, credentials: Iterable[bytes]) -> None:
        self._templates = [
            (name.encode("ascii"), template, tuple(_PLACEHOLDER.findall(template)))
            for name, template in templates.items()
        ]
        self.removed = (*credentials, *(name for name, _, _ in self._templates))

    def lines(self, identity: Identity | None) -> bytes:
        if identity is None:
            return b""
        out = []
        for name, template, wanted in self._templates:
            values = {claim: _text(identity, claim) for claim in wanted}
            if None in values.values():
                continue
            text = _PLACEHOLDER.sub(lambda found: values[found[1]] or "", template)  # noqa: B023
            if not text.isprintable() or text != text.strip():
                raise ClaimsUnmet(issuer=identity.issuer)
            try:
                out.append(b"%b: %b\r\n" % (name, text.encode("latin-1")))
            except UnicodeEncodeError as error:
                raise ClaimsUnmet(issuer=identity.issuer) from error
        return b"".join(out)


class Minted:
    """A fresh short-lived token in the form that the upstream expects, in place of the client's.

    `mint(claims)` gives the header's value and the epoch second until which it may be used again.
    """

    def __init__(
        self,
        mint: Callable[[Identity], tuple[bytes, float]],
        *,
        header: bytes,
        credentials: Iterable[bytes],
        now: Callable[[], float],
    ) -> None:
        self._mint = mint
        self._now = now
        self._header = header
        self._minted: dict[Identity, tuple[bytes, float]] = {}
        self.removed = (*credentials, header)

    def lines(self, identity: Identity | None) -> bytes:
        if identity is None:
            return b""
        value, until = self._minted.get(identity, (b"", 0.0))
        if self._now() >= until:
            value, until = self._mint(identity)
            if len(self._minted) >= _MINTED:
                self._minted.clear()
            self._minted[identity] = value, until
        return b"%b: %b\r\n" % (self._header, value)


def _text(identity: Identity, claim: str) -> str | None:
    """A claim as header text: scalars, and lists of them joined by commas."""
    value: Any = identity.user_id if claim == "user_id" else identity.claims.get(claim)
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case list() if all(isinstance(item, str | int) for item in value):
            return ",".join(str(item) for item in value)
        case _:
            raise ClaimsUnmet(issuer=identity.issuer)
