"""Answers CORS preflights; what is allowed, the pipeline has put into the request's `cors`."""

from gateway.profiles import Answer
from gateway.proxy import Call, Site
from gateway.request import RequestHead


class Preflight:
    """Answers the preflights of every route that has `cors`."""

    label = "preflight"
    max_body_size = 0
    site: Site | None = None

    def is_left(self, request: RequestHead) -> bool:
        return False

    async def answer(self, call: Call, body: bytes) -> Answer:
        return Answer(204, (), b"")
