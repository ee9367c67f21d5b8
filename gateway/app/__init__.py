"""The composition root: the only place that builds collaborators and wires them.

`create_app` gives a plain ASGI application for any server; `serve` runs it on uvicorn with the
admin listener beside it.
"""

from gateway.app.gateway import Gateway, create_app
from gateway.app.serving import serve

__all__ = ["Gateway", "create_app", "serve"]
