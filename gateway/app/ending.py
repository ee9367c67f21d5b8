"""The end of a process: at once when what it ran is over.

A loop that is closed, and a library that is unloaded, wait for every name that is still being
looked up: half a minute where name servers don't answer, and then whoever stops a gateway kills it.
"""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

import uvloop


def run_and_end(main: Coroutine[Any, Any, int]) -> NoReturn:
    """Runs it, and ends this process with the exit code that it gives."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(main)
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # nobody reads it any more
                stream.flush()
        os._exit(code)
