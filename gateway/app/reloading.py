"""Taking the configuration anew while requests go on: from the file to the workers, or not at all.

Rule: whatever speaks against the new file is said as `gateway check` says it, and changes nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from gateway.config import Config, ConfigError, Loaded
from gateway.config.changes import changes, fixed_changes

_LOG = logging.getLogger(__name__)

Load = Callable[[], Loaded]
# Puts a checked configuration in force everywhere; why that can't be, nothing where it was done.
Apply = Callable[[Config], Awaitable[list[str]]]


class Outcome(NamedTuple):
    """What came of a reload, in lines for people."""

    is_done: bool
    lines: tuple[str, ...]


class Reloader:
    """Reloads one after the other; `config` is what is in force."""

    def __init__(self, config: Config, *, load: Load, apply: Apply) -> None:
        self.config = config
        self._load = load
        self._apply = apply
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[Outcome]] = set()

    def ask(self) -> None:
        """Begins a reload that nobody waits for: a signal's."""
        task = asyncio.get_running_loop().create_task(self.reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reload(self) -> Outcome:
        async with self._one_at_a_time:
            outcome = await self._reload(is_trial=False)
        for line in outcome.lines:
            _LOG.log(logging.INFO if outcome.is_done else logging.ERROR, "reload: %s", line)
        return outcome

    async def preview(self) -> Outcome:
        """What a reload would change, or why the file would be refused before workers see it."""
        async with self._one_at_a_time:
            return await self._reload(is_trial=True)

    async def _reload(self, *, is_trial: bool) -> Outcome:
        try:
            loaded = await asyncio.to_thread(self._load)
        except ConfigError as error:
            return _refused(str(error).splitlines())
        old, new = self.config, loaded.config
        fixed = [loaded.source.fault(path, "needs a restart") for path in fixed_changes(old, new)]
        try:
            faults = [*map(str, fixed)] or ([] if is_trial else await self._apply(new))
        except Exception as error:  # noqa: BLE001 - logged with its trace, and told
            _LOG.exception("the reload failed")
            faults = [f"the reload failed: {type(error).__name__}"]
        if faults:
            return _refused(faults)
        told = await asyncio.to_thread(changes, old, new)
        doubts = (f"warning: {doubt}" for doubt in loaded.warnings)
        if is_trial:
            return Outcome(True, ("would reload", *(told or ["nothing would change"]), *doubts))
        self.config = new
        return Outcome(True, ("reloaded", *(told or ["nothing has changed"]), *doubts))


def _refused(lines: list[str]) -> Outcome:
    return Outcome(False, (*lines, "refused: the configuration from before stays in force"))
