"""What a server's refusal says: of the server, or of the one command."""

from typing import ClassVar

from redis.exceptions import ClusterDownError, OutOfMemoryError, ReadOnlyError, ResponseError

from gateway.errors import StoreUnavailable

# A master without its replicas was cut off from them: there may be a newer one elsewhere.
_AWAY = ("READONLY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "NOREPLICAS")
_FULL, _UNSAVED = "OOM", "MISCONF"


class Refused(StoreUnavailable):
    """The store is there, and did not do this; others may fare better."""

    is_final: ClassVar[bool] = True  # as far as anybody can tell


class Apart(Refused):
    """A cluster has the keys on two servers just now."""

    is_final = False


def is_away(error: ResponseError) -> bool:
    """Whether the server says that it must not be asked now, rather than not this."""
    if isinstance(error, ReadOnlyError | ClusterDownError):
        return True
    # Older servers put their refusal into the script's error.
    return any(word in str(error) for word in _AWAY)


def only_reads(error: ResponseError) -> str:
    """The word for why the server takes no writes now, though what it holds is true; else ""."""
    if isinstance(error, OutOfMemoryError) or f"-{_FULL} " in str(error):
        return _FULL
    return _UNSAVED if _UNSAVED in str(error) else ""
