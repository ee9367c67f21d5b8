"""What the upstream is told about the bearer."""

from typing import Any

import pytest

from gateway.errors import ClaimsUnmet
from gateway.identity import Identity
from gateway.upstream.identity import IdentityHeaders, Minted, Passthrough, Untold


def bearer(user_id: str = "7", **claims: Any) -> Identity:
    return Identity(issuer="a", user_id=user_id, expires_at=1e10, claims=claims)


@pytest.mark.parametrize(
    ("template", "claims", "line"),
    [
        ("{user_id}", {}, b"X-A: 7\r\n"),
        ("{name}", {"name": "ann"}, b"X-A: ann\r\n"),
        ("u={name};t={tenant}", {"name": "ann", "tenant": 3}, b"X-A: u=ann;t=3\r\n"),
        ("{name}", {}, b""),
        ("{name}", {"name": None}, b""),
        ("{admin}", {"admin": True}, b"X-A: true\r\n"),
        ("{admin}", {"admin": False}, b"X-A: false\r\n"),
        ("{score}", {"score": 1.5}, b"X-A: 1.5\r\n"),
        ("{roles}", {"roles": ["a", "b", 3]}, b"X-A: a,b,3\r\n"),
        ("{name}", {"name": "josé"}, b"X-A: jos\xe9\r\n"),
        ("constant", {}, b"X-A: constant\r\n"),
    ],
)
def test_claims_become_header_lines(template: str, claims: dict[str, Any], line: bytes) -> None:
    mode = IdentityHeaders({"X-A": template}, credentials=[b"authorization"])
    assert mode.lines(bearer(**claims)) == line
    assert mode.removed == (b"authorization", b"X-A")


@pytest.mark.parametrize(
    "value",
    ["a\r\nX-Admin: 1", "a\nb", "a\x00b", "a\u202eb", " a", "a ", "日本", {"a": 1}, ["a", {}]],
    ids=repr,
)
def test_a_claim_that_no_header_can_carry_exactly_is_refused(value: Any) -> None:
    mode = IdentityHeaders({"X-A": "{name}"}, credentials=[])
    with pytest.raises(ClaimsUnmet):
        mode.lines(bearer(name=value))


def test_nothing_is_said_of_an_anonymous_client() -> None:
    assert IdentityHeaders({"X-A": "fixed"}, credentials=[]).lines(None) == b""
    assert Untold([b"authorization"]).lines(None) == b""
    assert Passthrough().lines(None) == b""


def test_the_untold_upstream_hears_nothing_and_the_token_ends_here() -> None:
    mode = Untold([b"authorization"])
    assert mode.lines(bearer()) == b""
    assert mode.removed == (b"authorization",)


class TestMinted:
    def setup_method(self) -> None:
        self.now = 1000.0
        self.minted: list[str] = []

    def mint(self, identity: Identity) -> tuple[bytes, float]:
        self.minted.append(identity.user_id)
        return b"JWT %d" % len(self.minted), self.now + 15

    def mode(self) -> Minted:
        return Minted(
            self.mint, header=b"Authorization", credentials=[b"x-token"], now=lambda: self.now
        )

    def test_one_token_serves_until_half_its_life_is_over(self) -> None:
        mode, ann = self.mode(), bearer("ann")
        assert mode.lines(ann) == mode.lines(ann) == b"Authorization: JWT 1\r\n"
        self.now += 15
        assert mode.lines(ann) == b"Authorization: JWT 2\r\n"

    def test_each_bearer_has_one_and_nobody_has_none(self) -> None:
        mode = self.mode()
        assert mode.lines(bearer("ann")) != mode.lines(bearer("bob"))
        assert self.minted == ["ann", "bob"]
        assert mode.lines(None) == b""

    def test_the_clients_own_fields_are_removed(self) -> None:
        assert self.mode().removed == (b"x-token", b"Authorization")

    def test_the_memory_is_bounded(self) -> None:
        mode = self.mode()
        for number in range(10_050):
            mode.lines(bearer(str(number)))
        assert len(mode._minted) <= 10_000
