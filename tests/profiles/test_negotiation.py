"""Accept and ?format= are weighed as Django REST framework weighs them."""

import pytest

from gateway.profiles.negotiation import Negotiated, negotiate

JSON = Negotiated()
NOT_ACCEPTABLE = Negotiated(failure=406)

ACCEPTS: dict[str, tuple[str | None, Negotiated]] = {
    "absent": (None, JSON),
    "anything": ("*/*", JSON),
    "json": ("application/json", JSON),
    "json in other case": ("Application/JSON", JSON),
    "any application": ("application/*", JSON),
    "indent": ("application/json; indent=4", Negotiated(indent=4)),
    "indent in quotes": ('application/json;indent="2"', Negotiated(indent=2)),
    "indent among others": ("text/html, application/json; indent=4", Negotiated(indent=4)),
    "indent is at most 8": ("application/json; indent=99", Negotiated(indent=8)),
    "indent 0 is compact": ("application/json; indent=0", JSON),
    "a negative indent is compact": ("application/json; indent=-1", JSON),
    "an indent that is no number": ("application/json; indent=x", JSON),
    "quality is not looked at": ("application/json;q=0", JSON),
    "parameter without value": ("application/json; indent", JSON),
    "the page": ("text/html", JSON),
    "a page with an indent": ("text/html; indent=4", JSON),
    "what browsers send": ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
    "another type": ("application/xml", NOT_ACCEPTABLE),
    "another json": ("application/vnd.api+json", NOT_ACCEPTABLE),
    "empty": ("", NOT_ACCEPTABLE),
    "half a type": ("application", NOT_ACCEPTABLE),
    "another type or anything": ("application/xml, */*", JSON),
    "any with an indent": ("*/*; indent=4", Negotiated(indent=4)),
}


@pytest.mark.parametrize(("accept", "expected"), ACCEPTS.values(), ids=ACCEPTS)
def test_accept(accept: str | None, expected: Negotiated) -> None:
    assert negotiate(accept.encode() if accept is not None else None, b"") == expected


FORMATS: dict[str, tuple[str, Negotiated]] = {
    "json": ("format=json", JSON),
    "api": ("format=api", JSON),
    "xml": ("format=xml", Negotiated(failure=404)),
    "empty": ("format=", JSON),
    "the last counts, though empty": ("format=xml&format=", JSON),
    "the last counts": ("format=xml&format=json", JSON),
    "beside others": ("a=b&format=xml", Negotiated(failure=404)),
    "percent-encoded": ("%66ormat=xml", Negotiated(failure=404)),
    "another parameter": ("reformat=xml", JSON),
    "as a value": ("a=format", JSON),
    "in other case": ("FORMAT=xml", JSON),
}


@pytest.mark.parametrize(("query", "expected"), FORMATS.values(), ids=FORMATS)
def test_format(query: str, expected: Negotiated) -> None:
    assert negotiate(None, query.encode()) == expected


def test_a_format_narrows_what_accept_may_choose() -> None:
    assert negotiate(b"text/html", b"format=json") == NOT_ACCEPTABLE
    assert negotiate(b"application/json; indent=4", b"format=json") == Negotiated(indent=4)
    assert negotiate(b"application/json", b"format=api") == NOT_ACCEPTABLE
