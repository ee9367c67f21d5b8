"""How long a server may take, and how many may ask it at once."""

from dataclasses import dataclass

from gateway.config import UpstreamConfig


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds; `connections` per server and worker, `pending` per upstream and worker.

    `first_byte` is how long an answer may take to begin, `read` how long it may pause, `total` how
    long it may take altogether; `queue` is the longest wait for a connection.
    """

    connect: float = 2.0
    queue: float = 2.0
    first_byte: float = 60.0
    read: float = 60.0
    total: float | None = None
    idle: float = 1.0
    connections: int = 256
    pending: int = 1024

    @classmethod
    def of(cls, settings: UpstreamConfig) -> "Limits":
        timeouts = settings.timeouts
        return cls(
            connect=timeouts.connect,
            queue=timeouts.queue,
            first_byte=timeouts.read if timeouts.first_byte is None else timeouts.first_byte,
            read=timeouts.read,
            total=timeouts.total,
            idle=timeouts.idle,
            connections=settings.max_connections,
            pending=settings.max_pending_requests,
        )

    @property
    def tick(self) -> float:
        """How often to sweep: deadlines are kept to a tenth."""
        shortest = min(self.read, self.first_byte, self.idle, self.total or self.read)
        return min(0.25, max(0.01, shortest / 20))
