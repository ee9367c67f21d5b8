"""One worker in this process: what the admin listener and a reload see of it."""

import asyncio
from collections.abc import Sequence
from typing import Any

from gateway.app.inquiry import told, understood
from gateway.app.worker import Worker
from gateway.config import Config
from gateway.endpoints.admin.fleet import Question
from gateway.telemetry.summed import Snapshot


class Alone:
    """A `Fleet` of one."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.has_started = asyncio.Event()

    @property
    def config(self) -> Config:
        return self._worker.gateway.config

    async def apply(self, new: Config) -> list[str]:
        """Puts a configuration in force; why that can't be, nothing where it was done."""
        await self.has_started.wait()
        why = await self._worker.prepare(new)
        if why is not None:
            return [why]
        await self._worker.commit()
        return []

    async def unready_because(self) -> str | None:
        return self._worker.unready_because()

    async def exposition(self) -> bytes:
        return self._worker.gateway.metrics.exposition()

    async def snapshot(self) -> Snapshot:
        return self._worker.gateway.metrics.snapshot()

    async def ask_each(self, question: Question) -> Sequence[Any]:
        return [await self.ask_one(question)]

    async def ask_one(self, question: Question, *arguments: str) -> Any:
        return understood(await told(self._worker.gateway, question, arguments))
