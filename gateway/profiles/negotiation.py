"""Content negotiation as Django REST framework does it, with its default renderers.

These are JSON and the browsable API page. The page needs the upstream's templates, so whoever
asks for it gets the JSON. Negotiation comes before authentication: its failures replace a 401.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl

_FORMATS = {"json": "application/json", "api": "text/html"}


@dataclass(frozen=True, slots=True)
class Negotiated:
    """How to write the answer; `failure` is the status where nothing on offer will do."""

    indent: int | None = None
    failure: int | None = None


def negotiate(accept: bytes | None, query: bytes) -> Negotiated:
    """Chooses by `?format=` and the Accept header, of which the latter may ask for an indent."""
    offered = list(_FORMATS.values())
    if query:
        wanted = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)).get("format")
        if wanted:
            if wanted not in _FORMATS:
                return Negotiated(failure=404)
            offered = [_FORMATS[wanted]]
    if accept is None or accept == b"*/*":
        return Negotiated()
    ranges = [_MediaRange.parse(text) for text in accept.decode("latin-1").split(",")]
    for precedence in (3, 2, 1, 0):
        for media_type in offered:
            for media_range in ranges:
                if media_range.precedence == precedence and media_range.matches(media_type):
                    return Negotiated(media_range.indent if media_type == offered[0] else None)
    return Negotiated(failure=406)


@dataclass(frozen=True, slots=True)
class _MediaRange:
    main: str
    sub: str
    parameters: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> "_MediaRange":
        full, *rest = text.split(";")
        main, _, sub = full.strip().lower().partition("/")
        pairs = [part.partition("=") for part in rest if "=" in part]
        return cls(main, sub, {k.strip().lower(): v.strip().strip('"') for k, _, v in pairs})

    @property
    def precedence(self) -> int:
        """DRF ignores quality values; the more specific range wins."""
        if self.main == "*":
            return 0
        if self.sub == "*":
            return 1
        return 3 if self.parameters.keys() - {"q"} else 2

    @property
    def indent(self) -> int | None:
        try:
            return max(0, min(8, int(self.parameters["indent"]))) or None
        except (KeyError, ValueError):
            return None

    def matches(self, media_type: str) -> bool:
        main, _, sub = media_type.partition("/")
        return self.main in ("*", main) and self.sub in ("*", sub)
