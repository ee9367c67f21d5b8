"""The end of a process: at once when what it ran is over.

A loop that is closed, and a library that is unloaded, wait for every name that is still being
looked up: half a minute where name servers don't answer, and then whoever stops a gateway kills it.
"""

import asyncio
import contextlib
import logging
import os
import sys
from typing import NoReturn

import uvloop


def loop_runner() -> asyncio.Runner:
    """What runs a loop; call `end_process` before its context is left, which closes the loop."""
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def end_process(code: int) -> NoReturn:
    """Ends this process with an exit code, and without what other contexts would still release."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
