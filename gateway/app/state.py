"""What may outlive a gateway: the store, the view of revocations that follows it, local counters.

A reload hands it on where the store's settings allow it, so that no session, revocation or count is
lost; it ends with the last gateway that uses it.
"""

import asyncio
import time

from gateway.app.token_paths import access_life, open_store, open_view
from gateway.config import Config
from gateway.stores import MemoryStore
from gateway.telemetry.metrics import Metrics


class State:
    """The state behind one gateway, or behind several that follow each other."""

    def __init__(self, config: Config, *, metrics: Metrics) -> None:
        self.store = open_store(config)
        self.view = open_view(config, store=self.store, metrics=metrics)
        # Counts while the store is away.
        self.local = self.store if self.store.is_local else MemoryStore(wall=time.time)
        self._url, self._settings = config.store.url, _settings(config)
        self._users = 0
        self._sweeping: asyncio.Task[None] | None = None

    def serves(self, config: Config) -> bool:
        """Whether a gateway of this configuration can go on with this very state."""
        if self.store.is_local and self._url == config.store.url:
            return True  # none of the other settings matters in one process
        return self._settings == _settings(config)

    def take_over(self, config: Config) -> None:
        """Bears an outage as `config` wants it: no reason to forget what is revoked, least of all
        while no store can tell it again.
        """
        store = config.store
        self.view.bear(max_staleness=store.max_staleness, on_outage=store.on_outage)

    async def start(self) -> None:
        """Is called by each who uses it; the first call opens it."""
        self._users += 1
        if self._users == 1:
            try:
                await self.store.start(self.view)
            except BaseException:
                self._users = 0
                raise
            self._sweeping = asyncio.create_task(self.view.run(), name="revocations")

    async def stop(self) -> None:
        """Is called once for each `start`; the last call releases everything."""
        self._users -= 1
        if self._users or self._sweeping is None:
            return
        self._sweeping.cancel()
        await asyncio.gather(self._sweeping, return_exceptions=True)
        await self.store.stop()

    def __repr__(self) -> str:
        return f"<State {self.store!r} users={self._users}>"


def _settings(config: Config) -> tuple[dict[str, object], int]:
    """What the store and its view are built from."""
    return config.store.model_dump(exclude={"max_staleness", "on_outage"}), access_life(config)
