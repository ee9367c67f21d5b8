"""A real server of published keys on the loopback, and an issuer that uses it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from gateway.identity import Identity
from gateway.tokens.issuer import Issuer
from gateway.tokens.jwks import JwksSource, KeysNeeded
from tests.factories import (
    FrozenClock,
    issuer,
    plain_claims,
    rsa_key,
    sign,
)


class KeyServer:
    """Publishes a document, and counts who asks."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b""
        self.location = ""
        self.fetches = 0
        self.gate = threading.Event()
        self.gate.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.fetches += 1
                body = outer.body
                outer.gate.wait(10)
                self.send_response(outer.status)
                if outer.location:
                    self.send_header("Location", outer.location)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/jwks"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def publish(self, *keys: dict[str, Any]) -> None:
        self.body = json.dumps({"keys": keys}).encode()

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Setting:
    """An issuer whose keys are published at the server."""

    def __init__(self, server: KeyServer, client: httpx.AsyncClient, **settings: Any) -> None:
        self.server = server
        self.clock = FrozenClock()
        self.issuer: Issuer = issuer(
            "ident",
            clock=self.clock,
            client=client,
            **{"profile": "jwt", "algorithm": "RS256", "jwk_url": server.url, **settings},
        )
        assert self.issuer.source is not None
        self.source: JwksSource = self.issuer.source

    def token(self, key: int, kid: str | None = None, **changes: Any) -> bytes:
        header = {"kid": kid} if kid is not None else {}
        issued = {"iat": int(self.clock.now) - 60, "exp": int(self.clock.now) + 3000}
        return sign(plain_claims(**{**issued, **changes}), rsa_key(key), "RS256", **header).encode()

    async def decide(self, token: bytes) -> Identity:
        """As the edge does: fetch where keys are needed, and decide once more."""
        try:
            return self.issuer.verifier.verify(token)
        except KeysNeeded as needed:
            await needed.refresh()
            try:
                return self.issuer.verifier.verify(token)
            except KeysNeeded as again:
                raise again.unavailable() from again
