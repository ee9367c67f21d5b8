"""What a profile makes of an error: the protocol that all keep, and the answer that comes out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gateway.errors import GatewayError


@dataclass(frozen=True, slots=True)
class Content:
    """What an answer says, before it is written; it may hold tokens."""

    status: int
    content: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Content {self.status} {', '.join(self.content)}>"


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer; `is_own` where the gateway made it, and not an upstream.

    Header names are in lower case and contain Content-Length; to HEAD the body is not sent.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    is_own: bool = True

    def with_headers(self, *fields: tuple[bytes, bytes]) -> "Answer":
        """The same answer with more header fields."""
        *others, length = self.headers
        return replace(self, headers=(*others, *fields, length))


class Profile(Protocol):
    """The wording and wire form of one issuer's package."""

    def credentials(self, value: bytes) -> bytes | None:
        """The token in the authentication header's value; None where it carries none of ours.

        Raises AuthenticationFailed where it is ours but has no token, or more than one part.
        """
        ...

    def render(self, error: GatewayError, *, accept: bytes | None, query: bytes) -> Answer:
        """The error as the package words it; `accept` and `query` are the request's."""
        ...

    def content(self, content: Content, *, accept: bytes | None, query: bytes) -> Answer:
        """What is no error, as the package writes it; what can't be written so is 404 or 406."""
        ...

    def unacceptable(self, *, accept: bytes | None, query: bytes) -> Answer | None:
        """The 404 or 406 where nothing on offer will do, to be told before anything is done."""
        ...


def json_answer(
    status: int,
    content: Mapping[str, Any],
    *,
    content_type: bytes = b"application/json",
    indent: int | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    retry_after: int | None = None,
) -> Answer:
    """JSON as DRF's renderer writes it: compact, or with line breaks where an indent is asked."""
    separators = (",", ":") if indent is None else (",", ": ")
    body = json.dumps(content, indent=indent, separators=separators, ensure_ascii=False).encode()
    fields = [(b"content-type", content_type), *headers]
    if retry_after is not None:
        fields.append((b"retry-after", b"%d" % retry_after))
    fields.append((b"content-length", b"%d" % len(body)))
    return Answer(status, tuple(fields), body)
