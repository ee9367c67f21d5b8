"""The sample upstreams of `make demo` and its runner: ordinary Django apps, and who starts them."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the runner must say so before it fails to import
    sys.exit("The demo needs Python 3.11 or later; this is Python " + sys.version.split()[0])
