"""`python -m bench.refresh`."""

import sys

from bench.refresh.run import main

sys.exit(main())
