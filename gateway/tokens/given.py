"""What an upstream gives at a refresh, and by what a revocation reaches it."""

from collections.abc import Mapping
from typing import Protocol

from gateway.tokens.terms import CLOCK_SKEW
from gateway.tokens.verifier import Examined


class UpstreamsAnswer(Protocol):
    """The upstream's answer to a refresh."""

    def kept(self) -> bytes:
        """All of it, to be read again."""
        ...

    @property
    def tokens(self) -> Mapping[str, str]:
        """The tokens in it by their names; none where it refused."""
        ...


def named_by(access: Examined) -> tuple[str, int] | None:
    """What a revocation must name to reach this access token, and until when.

    A time, in epoch seconds, by which it has ended by any clock.
    """
    identity = access.identity
    if identity.session_id is None or identity.expires_at == float("inf"):
        return None
    return identity.session_id, int(identity.expires_at + CLOCK_SKEW)
