"""What llhttp makes of some bytes: the reading that readers of ours are held against."""

from typing import Any

import httptools


class Message:
    """One message or more, by httptools' request or response parser.

    Raises httptools' errors for what it refuses.
    """

    def __init__(self, parser: type[Any], data: bytes) -> None:
        self.target = self.reason = self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.begun = self.completed = 0
        self.keeps_alive = False
        self.parser = parser(self)
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.completed += 1
        self.keeps_alive = self.parser.should_keep_alive()


def request(data: bytes) -> Message:
    return Message(httptools.HttpRequestParser, data)


def response(data: bytes) -> Message:
    return Message(httptools.HttpResponseParser, data)
