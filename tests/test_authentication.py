"""Credentials on a route: one issuer or several, cached or judged anew."""

import json
from typing import Any

import httpx
import pytest

from gateway.authentication import require_claims
from gateway.errors import AuthenticationFailed, ClaimsUnmet, Flaw, KeysUnavailable
from gateway.identity import Identity
from gateway.tokens.issuer import Issuer
from gateway.tokens.jwks import KeysNeeded
from tests.factories import (
    NOW,
    OTHER_SECRET,
    FrozenClock,
    authenticator,
    bearer,
    drf_jwt_claims,
    issuer,
    jwk,
    legacy_claims,
    plain_claims,
    private_pem,
    request,
    rsa_key,
    sign,
    simplejwt_claims,
)


def identify(*issuers: Issuer, headers: tuple[tuple[str, str], ...]) -> Identity | None:
    judge, _ = authenticator(*issuers)
    return judge.authenticate(request(*headers))


def refusal(*issuers: Issuer, headers: tuple[tuple[str, str], ...]) -> AuthenticationFailed:
    with pytest.raises(AuthenticationFailed) as caught:
        identify(*issuers, headers=headers)
    return caught.value


# --- one issuer


def test_no_header_and_no_prefix_of_ours_are_anonymous() -> None:
    assert identify(issuer(), headers=()) is None
    assert identify(issuer(), headers=(("Authorization", "Basic YQ=="),)) is None


def test_what_is_missing_is_worded_by_the_first_issuer() -> None:
    judge, _ = authenticator(issuer("first"), issuer("second"))
    error = judge.missing()
    assert (error.issuer, error.flaw) == ("first", Flaw.MISSING)


def test_two_authorization_headers_are_one_joined_value_and_none_is_picked() -> None:
    good = bearer(sign(simplejwt_claims()))
    assert refusal(issuer(), headers=(good, good)).flaw is Flaw.HEADER_PARTS
    assert refusal(issuer(), headers=(good, bearer("abc"))).flaw is Flaw.HEADER_PARTS


def test_a_second_header_is_seen_also_when_the_first_is_cached() -> None:
    judge, _ = authenticator(issuer())
    good = bearer(sign(simplejwt_claims()))
    assert judge.authenticate(request(good))
    with pytest.raises(AuthenticationFailed):
        judge.authenticate(request(good, ("Authorization", "x")))


def test_the_header_can_have_another_name() -> None:
    one = issuer(auth_header_name="X-Access-Token")
    token = sign(simplejwt_claims())
    assert identify(one, headers=(("x-access-token", f"Bearer {token}"),))
    assert identify(one, headers=(bearer(token),)) is None


def test_the_second_time_the_token_is_known() -> None:
    judge, _ = authenticator(issuer())
    head = request(bearer(sign(simplejwt_claims())))
    first = judge.authenticate(head)
    assert judge.authenticate(head) is first
    assert (judge.cache.hits, judge.cache.misses) == (1, 1)


def test_a_bad_token_is_not_remembered() -> None:
    judge, _ = authenticator(issuer())
    for _ in range(2):
        with pytest.raises(AuthenticationFailed):
            judge.authenticate(request(bearer(sign(simplejwt_claims(), OTHER_SECRET))))
    assert len(judge.cache) == 0


def test_a_known_token_ends_when_it_expires() -> None:
    clock = FrozenClock()
    judge, _ = authenticator(issuer(clock=clock), clock=clock)
    head = request(bearer(sign(simplejwt_claims())))
    assert judge.authenticate(head)
    clock.advance(3000)
    with pytest.raises(AuthenticationFailed) as caught:
        judge.authenticate(head)
    assert caught.value.flaw is Flaw.EXPIRED


# --- several issuers

STUDENTS = issuer("students")
ACCOUNTS = issuer("accounts", algorithm="RS256", signing_key=private_pem(rsa_key()))
EMPLOYEES = issuer("employees", profile="djangorestframework-jwt", auth_header_types=["SRI"])
PARTNERS = issuer(
    "partners",
    profile="jwt",
    signing_key=OTHER_SECRET,
    issuer="https://partners.example",
)

TOLD_APART: dict[str, tuple[tuple[str, str], str]] = {
    "by header prefix": (bearer(sign(legacy_claims()), "SRI"), "employees"),
    "by algorithm": (bearer(sign(simplejwt_claims(), rsa_key(), "RS256")), "accounts"),
    "by key": (bearer(sign(simplejwt_claims())), "students"),
    "by iss": (
        bearer(sign(plain_claims(iss="https://partners.example"), OTHER_SECRET)),
        "partners",
    ),
}


@pytest.mark.parametrize(("header", "name"), TOLD_APART.values(), ids=TOLD_APART)
@pytest.mark.parametrize("order", [1, -1])
def test_issuers_on_one_route_are_told_apart(
    header: tuple[str, str], name: str, order: int
) -> None:
    all_of_them = (STUDENTS, ACCOUNTS, EMPLOYEES, PARTNERS)[::order]
    identity = identify(*all_of_them, headers=(header,))
    assert identity is not None
    assert identity.issuer == name


def test_one_key_and_two_iss_are_two_issuers() -> None:
    here = issuer("here", issuer="https://here.example")
    there = issuer("there", issuer="https://there.example")
    identity = identify(
        here, there, headers=(bearer(sign(simplejwt_claims(iss="https://there.example"))),)
    )
    assert identity is not None
    assert identity.issuer == "there"


def test_a_bad_token_in_one_header_spoils_a_good_one_in_another() -> None:
    """The upstream would see both, and only verified tokens may reach it."""
    first, second = issuer("first"), issuer("second", auth_header_name="X-Auth")
    good = sign(simplejwt_claims())
    both = (bearer(good), ("X-Auth", f"Bearer {good}"))
    assert identify(first, second, headers=both) is not None
    for bad in ((bearer("garbage"), both[1]), (both[0], ("X-Auth", "Bearer garbage"))):
        assert refusal(first, second, headers=bad).flaw is Flaw.UNDECODABLE
    assert identify(first, second, headers=(("Authorization", "Basic x"), both[1])) is not None


SPEAKS: dict[str, tuple[tuple[str, str], str, Flaw]] = {
    "a right signature though expired": (
        bearer(sign(simplejwt_claims(exp=int(NOW) - 5), rsa_key(), "RS256")),
        "accounts",
        Flaw.EXPIRED,
    ),
    "a right signature of the second": (
        bearer(sign(plain_claims(exp=int(NOW) - 5), OTHER_SECRET)),
        "partners",
        Flaw.EXPIRED,
    ),
    "a fitting algorithm": (
        bearer(sign(simplejwt_claims(), rsa_key(1), "RS256")),
        "accounts",
        Flaw.UNDECODABLE,
    ),
    "the first, where none fits": (bearer("abc"), "students", Flaw.UNDECODABLE),
    "the one whose prefix it is": (bearer("abc", "SRI"), "employees", Flaw.UNDECODABLE),
    "the first with the prefix": (("Authorization", "Bearer"), "students", Flaw.HEADER_EMPTY),
}


@pytest.mark.parametrize(("header", "name", "flaw"), SPEAKS.values(), ids=SPEAKS)
def test_the_issuer_a_token_got_furthest_with_speaks(
    header: tuple[str, str], name: str, flaw: Flaw
) -> None:
    error = refusal(STUDENTS, ACCOUNTS, EMPLOYEES, PARTNERS, headers=(header,))
    assert (error.issuer, error.flaw) == (name, flaw)


def test_issuers_may_have_headers_of_their_own() -> None:
    inner = issuer("inner", profile="drf-jwt", auth_header_name="X-Inner", signing_key=OTHER_SECRET)
    judge, _ = authenticator(STUDENTS, inner)
    outer_token = bearer(sign(simplejwt_claims()))
    inner_token = ("X-Inner", f"Bearer {sign(drf_jwt_claims(), OTHER_SECRET)}")
    for headers, name in (((outer_token,), "students"), ((inner_token,), "inner")):
        first = judge.authenticate(request(*headers))
        assert first is not None
        assert first.issuer == name
        assert judge.authenticate(request(*headers)) is first
    assert judge.authenticate(request()) is None
    with pytest.raises(AuthenticationFailed):
        judge.authenticate(request(("X-Inner", outer_token[1])))


# --- issuers with published keys


class Published:
    """Two issuers with published keys, and one with a secret."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.asked: list[str] = []
        self.clock = FrozenClock()
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._serve))
        self.a, self.b = (
            issuer(
                name,
                profile="jwt",
                algorithm="RS256",
                jwk_url=f"https://{name}.example/",
                client=client,
                clock=self.clock,
            )
            for name in ("a", "b")
        )
        self.judge, _ = authenticator(self.a, self.b, STUDENTS, clock=self.clock)

    def _serve(self, asked: httpx.Request) -> httpx.Response:
        name = asked.url.host.partition(".")[0]
        self.asked.append(name)
        keys = self.documents.get(name)
        return httpx.Response(503 if keys is None else 200, content=json.dumps({"keys": keys}))

    async def decide(self, header: tuple[str, str]) -> Identity | None:
        try:
            return self.judge.authenticate(request(header))
        except KeysNeeded as needed:
            await needed.refresh()
        try:
            return self.judge.authenticate(request(header))
        except KeysNeeded as again:
            raise again.unavailable() from again


def plain(key: int, kid: str) -> tuple[str, str]:
    return bearer(sign(plain_claims(), rsa_key(key), "RS256", kid=kid))


async def test_one_decision_fetches_the_keys_of_all_who_may_know_the_token() -> None:
    these = Published()
    these.documents = {"a": [jwk(rsa_key(1), "ka")], "b": [jwk(rsa_key(2), "kb")]}
    identity = await these.decide(plain(2, "kb"))
    assert identity is not None
    assert identity.issuer == "b"
    assert sorted(these.asked) == ["a", "b"]


async def test_an_outage_of_one_issuer_fails_no_token_of_another() -> None:
    these = Published()
    these.documents = {"b": [jwk(rsa_key(2), "kb")]}
    for header, name in ((plain(2, "kb"), "b"), (bearer(sign(simplejwt_claims())), "students")):
        identity = await these.decide(header)
        assert identity is not None
        assert identity.issuer == name


async def test_a_bad_token_that_cant_be_of_the_missing_issuer_is_a_401() -> None:
    these = Published()
    with pytest.raises(AuthenticationFailed):
        await these.decide(bearer(sign(simplejwt_claims(), OTHER_SECRET)))
    assert these.asked == []


async def test_while_keys_are_away_a_token_they_may_have_signed_is_a_503() -> None:
    these = Published()
    these.documents = {"a": [jwk(rsa_key(1), "ka")]}
    with pytest.raises(KeysUnavailable) as caught:
        await these.decide(plain(2, "kb"))
    assert caught.value.issuer == "b"


async def test_wanting_keys_a_second_time_is_an_outage() -> None:
    these = Published()
    with pytest.raises(KeysNeeded) as caught:
        these.judge.authenticate(request(plain(1, "ka")))
    assert str(caught.value) == "keys are needed of a, b"
    assert caught.value.unavailable().issuer == "a"


async def test_new_keys_empty_the_cache() -> None:
    these = Published()
    these.documents = {"a": [jwk(rsa_key(1), "ka")], "b": [jwk(rsa_key(2), "kb")]}
    assert await these.decide(plain(1, "ka"))
    these.documents["a"] = [jwk(rsa_key(3), "ka")]
    these.clock.advance(60)
    assert these.a.source is not None
    await these.a.source.refresh()
    with pytest.raises(AuthenticationFailed):
        await these.decide(plain(1, "ka"))


# --- what a route asks of the claims

HELD = {"scope": "read write", "groups": ["staff", "hr"], "is_admin": True, "level": 3, "n": None}
REQUIRED: dict[str, tuple[dict[str, Any], bool]] = {
    "nothing": ({}, True),
    "a word of the scope": ({"scope": ["read"]}, True),
    "all words of the scope": ({"scope": ("write", "read")}, True),
    "a word that is not there": ({"scope": ["read", "admin"]}, False),
    "part of a word": ({"scope": ["rea"]}, False),
    "the whole text": ({"scope": "read write"}, True),
    "one word is not the text": ({"scope": "read"}, False),
    "members of a list": ({"groups": ["hr"]}, True),
    "not a member": ({"groups": ["boss"]}, False),
    "true": ({"is_admin": True}, True),
    "1 is not true": ({"is_admin": 1}, False),
    "a number": ({"level": 3}, True),
    "true is not 1": ({"level": True}, False),
    "text is not a number": ({"level": "3"}, False),
    "a list of what is no list": ({"level": [3]}, False),
    "what is missing": ({"other": "x"}, False),
    "nothing in what is missing": ({"other": []}, False),
    "several": ({"scope": ["read"], "is_admin": True}, True),
    "one of several unmet": ({"scope": ["read"], "is_admin": False}, False),
}


@pytest.mark.parametrize(("required", "is_met"), REQUIRED.values(), ids=REQUIRED)
def test_required_claims(required: dict[str, Any], is_met: bool) -> None:
    identity = Identity(issuer="students", user_id="1", expires_at=NOW, claims=HELD)
    if is_met:
        require_claims(identity, required)
    else:
        with pytest.raises(ClaimsUnmet) as caught:
            require_claims(identity, required)
        assert caught.value.issuer == "students"
