"""The `gateway` command: `main` turns a command line into an exit code, never into a traceback."""

import os
import sys
from collections.abc import Sequence

from gateway.cli.commands import BAD_CONFIG, FAILED, INTERRUPTED
from gateway.cli.parser import build_parser
from gateway.config import ConfigError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        code = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has left; what is still buffered must not raise at exit.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as said:  # help was asked for, or argparse has said what is wrong
        return int(said.code or 0)
    try:
        code: int = arguments.command(arguments, os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIG
    return code
