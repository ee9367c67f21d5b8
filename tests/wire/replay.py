"""Replays what clients asked of the packages' token endpoints, against a whole gateway in process.

Rules
- One gateway a run, its rows in their order: what a row says of an earlier one is true here too.
- Behind it stands the recording: it answers logins, and what the package had no view for, as the
  package did, with tokens of this moment. At the gateway's own paths it must not be asked.
"""

import asyncio
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import jwt

from gateway.app import Gateway
from gateway.config.load import load
from tests.factories import SECRET, Claims, private_pem, rsa_key, sign, sign_raw
from tests.servers import Upstreamed, scripted
from tests.wire.recipes import Row, TokenRun, rows, token_of

JWT = re.compile(r"eyJ[\w-]+\.[\w-]*\.[\w-]*")
# Cases about the token of an earlier one, and about the session that a logout ended.
_THE_NEXT = {"rotated token ok", "token from header only"}
_THE_SAME = {"same token again (after rotation)", "t0 (family member) after t1 blacklisted"}
_ITS_ACCESS = {"access of the blacklisted session still works"}
_OF_THE_ENDED = _ITS_ACCESS | {
    "same again",
    "refresh with blacklisted",
    "verify blacklisted",
    "api with blacklisted",
}
# Rows whose answer has the token of a later one.
_FOLLOWED_UP = {("refresh", "ok json"), ("blacklist", "refresh t0->t1")}
_NOT_ASKED = b"HTTP/1.1 418 Not mine\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer of the gateway, with its header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def tokens(self) -> list[str]:
        """In the order in which they stand in the answer."""
        return list(dict.fromkeys(JWT.findall(self.body.decode())))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a row's request came to; `presented` is the token in its body."""

    row: Row
    presented: str
    heard: Heard
    at: float


class Package:
    """The upstream: answers with a recorded response until it is given another one."""

    def __init__(self, run: TokenRun) -> None:
        self._own = {path for key, path in run.endpoints.items() if key != "obtain"}
        self._is_rsa = run.settings.get("algorithm") == "RS256"
        self.response: Mapping[str, Any] = {}

    async def script(self, connection: Upstreamed) -> None:
        while True:
            head = await connection.head()
            method, target, _ = head.split(b" ", 2)
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            if length is not None:
                await connection.reader.readexactly(int(length[1]))
            is_own = target.partition(b"?")[0].decode() in self._own
            await connection.send(_NOT_ASKED if is_own else self._answer(method))

    def _answer(self, method: bytes) -> bytes:
        body: str = self.response["body"]
        for number, minted in enumerate(self.response.get("jwts", ())):
            token = self._signed(minted["header"], _of_now(minted["claims"]))
            body = body.replace(f"<JWT{number}>", token)
        fields = [
            f"{name}: {value}"
            for name, value in self.response["headers"]
            if name.lower() != "content-length" or method == b"HEAD"
        ]
        if method != b"HEAD":
            fields.append(f"Content-Length: {len(body.encode())}")
        head = "\r\n".join([f"HTTP/1.1 {self.response['status']} Said", *fields, "", ""])
        return head.encode() + body.encode()

    def _signed(self, header: dict[str, str], claims: Claims) -> str:
        if self._is_rsa:
            return sign(claims, private_pem(rsa_key()), "RS256")
        return sign_raw(header, json.dumps(claims).encode(), SECRET)


def _of_now(claims: Claims) -> Claims:
    """A recorded login's claims, as the package would write them at this moment."""
    later = int(time.time()) - int(claims["iat"] if "iat" in claims else claims["orig_iat"])
    moved = {
        name: value + later if name in ("exp", "iat", "orig_iat", "refresh_exp") else value
        for name, value in claims.items()
    }
    if "jti" in moved:
        moved["jti"] = str(uuid4()) if "-" in moved["jti"] else uuid4().hex
    return moved


class Replay:
    """Asks one gateway all of a run's requests, with the tokens that they are about."""

    def __init__(self, run: TokenRun, gateway: Gateway, package: Package) -> None:
        self._run = run
        self._gateway = gateway
        self._package = package
        self._number = 0
        self._kept: dict[str, str] = {}
        self._login = next(row for row in rows(run.login or run.name, "login"))

    async def outcomes(self) -> list[Outcome]:
        return [await self._outcome(row) for row in self._run.rows()]

    async def _outcome(self, row: Row) -> Outcome:
        in_head, in_body = await self._tokens(row)
        self._package.response = row["response"]
        at = time.time()
        heard = await self._ask(row["request"], in_head=in_head, in_body=in_body)
        if (row["group"], row["case"]) in _FOLLOWED_UP and heard.tokens:
            self._kept["next"] = heard.tokens[-1]
        return Outcome(row, in_body, heard, at)

    async def _tokens(self, row: Row) -> tuple[str, str]:
        """What stands as <JWT> in the head and in the body."""
        case, request = row["case"], row["request"]
        in_head = "<JWT>" in str(request["headers"])
        in_body = "<JWT>" in (request["body"] or "")
        if not in_head and not in_body:
            return "", ""
        if case == "ok with expired Authorization header":
            expired = token_of({**row, "case": "expired"}, self._run.profile, now=time.time())
            return expired, (await self._logged_in())[0]
        token = await self._followed(row) or self._minted(row)
        return token, token

    async def _followed(self, row: Row) -> str | None:
        """The token of a case that tells of a login, or of what was done with one before."""
        kept, group, case = self._kept, row["group"], row["case"]
        if group == "login" or case.startswith("access ok"):
            return None
        if case in _THE_NEXT:
            return kept["next"]
        if case in _THE_SAME:
            return kept["token"]
        if case in _OF_THE_ENDED:
            if "ended" not in kept:
                await self._begin_what_ends()
                await self._post("blacklist", kept["ended"])
            return kept["access" if case in _ITS_ACCESS else "ended"]
        if case.startswith("rotated-away"):
            token, _ = await self._logged_in()
            await self._post("refresh", token)
            return token
        if group == "blacklist" and case in ("ok", "no auth"):
            await self._begin_what_ends()
            return kept["ended"]
        if case.startswith(("ok", "refresh ok", "refresh t0")):
            kept["token"], _ = await self._logged_in()
            return kept["token"]
        return None

    async def _begin_what_ends(self) -> None:
        self._kept["ended"], self._kept["access"] = await self._logged_in()

    def _minted(self, row: Row) -> str:
        use = "access"
        if self._run.is_sliding and row["group"] != "blacklist":
            use = "sliding"
        elif row["group"] in ("refresh", "blacklist"):
            use = "refresh"
        self._number += 1
        return token_of(row, self._run.profile, use=use, now=time.time(), number=self._number)

    async def _logged_in(self) -> tuple[str, str]:
        """A new login's tokens: the one that refreshes, and the one for the API."""
        self._package.response = self._login["response"]
        found = json.loads((await self._ask(self._login["request"])).body)
        if "token" in found:
            return found["token"], found["token"]
        return found["refresh"], found["access"]

    async def _post(self, endpoint: str, token: str) -> None:
        is_pair = self._run.profile == "simplejwt" and not self._run.is_sliding
        await self._ask(
            {
                "method": "POST",
                "path": self._run.endpoints[endpoint],
                "headers": [["Content-Type", "application/json"]],
                "body": json.dumps({"refresh" if is_pair else "token": token}),
            }
        )

    async def _ask(
        self, request: Mapping[str, Any], *, in_head: str = "", in_body: str = ""
    ) -> Heard:
        body = (request["body"] or "").replace("<JWT>", in_body).encode()
        headers = [
            (name.lower().encode(), value.replace("<JWT>", in_head).encode("latin-1"))
            for name, value in request["headers"]
            if name.lower() != "content-length"
        ]
        headers.append((b"host", b"app.example"))
        if request["body"] is not None:
            headers.append((b"content-length", b"%d" % len(body)))
        path, _, query = request["path"].partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "method": request["method"],
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "client": ("127.0.0.1", 1),
            "headers": headers,
        }
        return await _called(self._gateway, scope, body)


async def _called(gateway: Gateway, scope: dict[str, Any], body: bytes) -> Heard:
    unread = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not unread:
            await asyncio.Event().wait()  # the client stays
        return unread.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await gateway(scope, receive, send)
    start, *parts = sent
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Heard(start["status"], headers, b"".join(part.get("body", b"") for part in parts))


def _configuration(run: TokenRun, port: int) -> str:
    return json.dumps(
        {
            "issuers": {
                "students": {
                    "signing_key": SECRET,
                    **run.settings,
                    "endpoints": run.endpoints,
                    "login_guard": None,
                }
            },
            "upstreams": {"students": {"servers": [f"http://127.0.0.1:{port}"]}},
            "routes": [
                {"path": "/", "auth": "required", "issuers": ["students"], "upstream": "students"}
            ],
            "logging": {"access_log": False},
        }
    )


async def replayed(run: TokenRun) -> list[Outcome]:
    """What each of the run's rows comes to."""
    package = Package(run)
    async with scripted(package.script) as upstream:
        with TemporaryDirectory() as directory:
            file = Path(directory) / "config.yaml"
            file.write_text(_configuration(run, upstream.port))
            gateway = Gateway(load(file, environ={}).config)
        await gateway.start()
        try:
            return await Replay(run, gateway, package).outcomes()
        finally:
            await gateway.stop()


def header_and_claims(token: str) -> tuple[dict[str, Any], Claims]:
    """What a token says, whoever signed it."""
    claims: Claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.get_unverified_header(token), claims
