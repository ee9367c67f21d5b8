"""Hostile request targets: the path that routes is the path that Django's resolver sees.

The echo app has a view under `/studentapi`, which the gateway protects, and one for all the rest,
which it leaves open; each answer tells which of them Django chose, and for what raw target.
"""

import random
import time
from collections.abc import Sequence

import jwt
import pytest

from examples.processes import Processes
from tests.integration.exchange import Answer, ask, authorization
from tests.integration.servers import RunningGateway, start_gateway

SECRET = "a-secret-of-the-paths-that-is-long-enough-for-hs256"


@pytest.fixture(scope="module")
def gateway(
    echo: str, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> RunningGateway:
    config = {
        "issuers": {"students": {"signing_key": SECRET}},
        "upstreams": {"echo": {"servers": [echo]}},
        "routes": [
            {"path": "/studentapi", "issuers": ["students"], "upstream": "echo"},
            {"path": "/", "auth": "none", "upstream": "echo"},
        ],
    }
    directory = tmp_path_factory.mktemp("paths")
    return start_gateway(config, directory=directory, children=children)


@pytest.fixture
def bearer() -> tuple[str, str]:
    now = int(time.time())
    claims = {"token_type": "access", "exp": now + 60, "jti": "0" * 32, "user_id": "1"}
    return authorization(f"Bearer {jwt.encode(claims, SECRET, 'HS256')}")


def served(answer: Answer) -> tuple[str, bytes] | None:
    """The view and the raw target that Django had, None where it was not reached."""
    if answer.status != 200 or answer.header("X-Request-Id") is not None:
        return None
    told = answer.json()
    return told["view"], told["meta"]["RAW_URI"].encode("latin-1")


# Whatever else a target is, it is one of these; `open` and `protected` are Django's own choice.
FORWARDED: Sequence[tuple[bytes, str]] = [
    (b"/", "open"),
    (b"/?", "open"),
    (b"/studentapi", "protected"),
    (b"/studentapi/", "protected"),
    (b"/studentapi?", "protected"),
    (b"/studentapi/?next=//evil.example/../..&x=%00%0a%zz", "protected"),
    (b"/studentapi?/../../open", "protected"),
    (b"/studentapi/1/", "protected"),
    (b"/%73tudentapi/", "protected"),
    (b"/student%61pi/", "protected"),
    (b"/%73%74%75%64%65%6e%74%61%70%69", "protected"),
    (b"/%73%74%75%64%65%6E%74%61%70%69%2F", "protected"),
    (b"/studentapi%2F", "protected"),
    (b"/studentapi%2f1", "protected"),
    (b"/studentapi/%2f", "protected"),
    (b"/studentapi//", "protected"),
    (b"/studentapi/%252e%252e/open", "protected"),
    (b"/studentapi/%E2%82%AC/", "protected"),
    (b"/studentapi/%ff%fe/", "protected"),
    (b"/studentapi/%20", "protected"),
    (b"/studentapi/;/", "protected"),
    (b"/studentapi/;jsessionid=1", "protected"),
    (b"/studentapi;", "open"),
    (b"/studentapi;/", "open"),
    (b"/studentapi;a=b/1", "open"),
    (b"/studentapi%3b/", "open"),
    (b"/;/studentapi/", "open"),
    (b"/studentapix", "open"),
    (b"/studentapi.json", "open"),
    (b"/STUDENTAPI/", "open"),
    (b"/Studentapi/", "open"),
    (b"/%2573tudentapi/", "open"),
    (b"/%25%37%33tudentapi/", "open"),
    (b"/studentapi%252f", "open"),
    (b"/studentapi%3f/", "open"),
    (b"/studentapi%23/", "open"),
    (b"/studentapi%20/", "open"),
    (b"/%20studentapi/", "open"),
    (b"/studentapi%c2%a0/", "open"),
    (b"/%ef%bb%bfstudentapi/", "open"),
    (b"/student%ef%bd%81pi/", "open"),
    (b"/student%c0%afapi/", "open"),
    (b"/studentap%c4%b1/", "open"),
    (b"/.../studentapi/", "open"),
    (b"/..studentapi/", "open"),
    (b"/.studentapi/", "open"),
    (b"/x:y@z/studentapi/", "open"),
    (b"/http://localhost/studentapi/", "open"),
    (b"/open//studentapi", "open"),
    (b"//localhost/studentapi/", "open"),
    (b'/[1]/{2}/|^`"<>', "open"),
]
REFUSED: Sequence[bytes] = [
    b"//studentapi/",
    b"///studentapi/",
    b"/%2fstudentapi/",
    b"/%2F%2Fstudentapi",
    b"/./studentapi/",
    b"/x/../studentapi/",
    b"/../studentapi/",
    b"/studentapi/../open",
    b"/studentapi/..",
    b"/studentapi/.",
    b"/studentapi/./",
    b"/%2e/studentapi/",
    b"/x/%2e%2e/studentapi/",
    b"/x/.%2e/studentapi/",
    b"/x/%2E./studentapi/",
    b"/x%2f..%2fstudentapi/",
    b"/x/..%2fstudentapi/",
    b"/x/..;/studentapi/",
    b"/x/..%3b/studentapi/",
    b"/studentapi/..;/open",
    b"/\\studentapi/",
    b"\\studentapi/",
    b"/studentapi\\",
    b"/x\\..\\studentapi/",
    b"/%5cstudentapi/",
    b"/x/..%5cstudentapi/",
    b"/studentapi%00",
    b"/studentapi%00/",
    b"/studentapi/%00",
    b"/studentapi%0a",
    b"/studentapi/%0a",
    b"/studentapi%0d%0aX-User-Id:%201",
    b"/%09studentapi/",
    b"/studentapi%7f/",
    b"/studentapi%",
    b"/studentapi%2",
    b"/studentapi/%zz",
    b"/%u0073tudentapi/",
    b"/studentapi\xe9/",
    b"/student\xc3\xa1pi/",
    b"/studentapi/\xff",
    b"/studentapi#",
    b"/#/../studentapi/",
    b"/open?#",
    b"/studentapi\x00",
    b"/studentapi\x0b/",
    b"/stu\tdentapi/",
    b"/studentapi\x7f",
    b"http://localhost/studentapi/",
    b"HTTP://localhost/studentapi/",
    b"http://evil.example/studentapi/",
    b"http:/studentapi/",
    b"localhost:80",
    b"studentapi/",
    b"?/studentapi/",
    b"*",
]


@pytest.mark.parametrize(("target", "view"), FORWARDED, ids=[repr(t)[2:-1] for t, _ in FORWARDED])
def test_a_target_is_forwarded_byte_for_byte_to_the_view_that_was_judged(
    gateway: RunningGateway, echo: str, bearer: tuple[str, str], target: bytes, view: str
) -> None:
    assert served(ask(echo, "GET", target)) == (view, target), "directly"
    assert served(ask(gateway.address, "GET", target, headers=[bearer])) == (view, target)
    anonymous = ask(gateway.address, "GET", target)
    if view == "protected":
        assert anonymous.status == 401
        assert served(anonymous) is None
    else:
        assert served(anonymous) == (view, target)


@pytest.mark.parametrize("target", REFUSED, ids=lambda target: repr(target)[2:-1])
def test_a_target_that_can_be_read_in_two_ways_is_refused(
    gateway: RunningGateway, bearer: tuple[str, str], target: bytes
) -> None:
    for headers in ([], [bearer]):
        answer = ask(gateway.address, "GET", target, headers=headers)
        assert answer.status == 400
        assert served(answer) is None


PIECES = [
    b"/", b"/", b"//", b"%2f", b"%2F", b"\\", b"%5c", b".", b"..", b"%2e", b"/./", b"/../", b";",
    b"%3b", b"studentapi", b"studentapi", b"studentapi", b"STUDENTAPI", b"student%61pi", b"open",
    b"%", b"%25", b"%252f", b"%00", b"%0a", b"%0d", b"%20", b"?", b"%3f", b"#", b"%23", b"@", b":",
    b"%ff", b"\xc3\xa9", b"\x01", b"~", b"*", b"%73", b"&", b"=", b"+",
]  # fmt: skip


def test_no_mixture_of_all_that_reaches_the_protected_view_without_a_token(
    gateway: RunningGateway, echo: str
) -> None:
    chance = random.Random(20)
    tried: set[int] = set()
    for _ in range(1500):
        target = b"/" * chance.randint(0, 1) + b"".join(chance.choices(PIECES, k=5))
        answer = ask(gateway.address, "GET", target)
        assert answer.status in (200, 400, 401), target
        found = served(answer)
        assert found in (None, ("open", target)), target
        if answer.status == 401:
            directly = served(ask(echo, "GET", target))
            assert directly == ("protected", target), target
        tried.add(answer.status)
    assert tried == {200, 400, 401}  # the mixture was a real one
