"""Compiles the hot modules where GATEWAY_COMPILE=1 asks for it (mypyc; needs a C compiler).

Without it the package is pure Python, which does the same at a higher cost a request.
"""

import os

from setuptools import setup

# All that a proxied request runs through. What subclasses uvicorn's protocol stays interpreted.
HOT = (
    "admission", "authentication", "cors", "forward_auth", "identity", "known_lines", "proxy",
    "request", "routing", "edge/client_head", "edge/fast", "edge/lane", "edge/lasting",
    "edge/ordinary_head", "edge/refusal", "edge/whole", "telemetry/access_log",
    "telemetry/request_id",
    "tokens/cache", "tokens/revoked", "upstream/answer",
    "upstream/connection", "upstream/exchange", "upstream/forwarded", "upstream/headers",
    "upstream/identity", "upstream/ordinary_answer",
)  # fmt: skip

extensions = []
if os.environ.get("GATEWAY_COMPILE") == "1":
    from mypyc.build import mypycify

    settings = ["--follow-imports=silent", "--ignore-missing-imports"]
    extensions = mypycify([*settings, *(f"gateway/{name}.py" for name in HOT)], opt_level="3")

setup(ext_modules=extensions)
