"""Stands in for curl where it is not installed: as much of it as the demo's lines use.

It needs nothing but the standard library, as the demo does.
"""

from __future__ import annotations

import argparse
import http.client
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

_FORM = "application/x-www-form-urlencoded"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="curl", description=__doc__, allow_abbrev=False)
    parser.add_argument("-s", action="store_true", help="no progress, which this has none of")
    parser.add_argument("-S", action="store_true", help="errors are told all the same")
    parser.add_argument("-w", default="", metavar="FORMAT", help="%%{http_code} and \\n")
    parser.add_argument("-H", action="append", default=[], metavar="NAME: VALUE")
    parser.add_argument("-d", metavar="BODY", help="makes it a POST")
    parser.add_argument("url")
    options = parser.parse_args(arguments)
    headers = {"Content-Type": _FORM} if options.d is not None else {}
    headers |= {name: value.strip() for name, _, value in (h.partition(":") for h in options.H)}
    url = urlsplit(options.url)
    connection = http.client.HTTPConnection(url.netloc)
    try:
        body = None if options.d is None else options.d.encode()
        connection.request("GET" if body is None else "POST", url.path, body, headers)
        answer = connection.getresponse()
        sys.stdout.write(answer.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        print(f"curl: {options.url}: {error}", file=sys.stderr)
        return 7
    finally:
        connection.close()
    told: str = options.w.replace("\\n", "\n").replace("%{http_code}", str(answer.status))
    sys.stdout.write(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
