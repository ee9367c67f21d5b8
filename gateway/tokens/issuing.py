"""Signs the tokens of an issuer's sessions: those of a login, their successors, a trial."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from gateway.stores.base import Opened, Rotation, Verdict
from gateway.tokens.issuer import Issuer
from gateway.tokens.successor import Claims, Moment, SuccessorIds, access_of, reissued, successor
from gateway.tokens.terms import Terms
from gateway.tokens.verifier import Examined


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh gives: `access` is the single token where there is but one.

    `claims` are those of `access`; `refresh` is None where the old one stays.
    """

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    claims: Claims = field(repr=False)


class Issuing:
    """The signing side of one issuer's sessions; of no use without a signing key."""

    def __init__(self, issuer: Issuer, terms: Terms) -> None:
        signing = issuer.keys.signing
        self._issuer = issuer
        self._config = issuer.config
        self._terms = terms
        self._ids = SuccessorIds(signing.secret()) if signing is not None else None

    def of_login(
        self, taken: Examined, *, session: str, generation: int | None, opened: Opened
    ) -> str:
        """A login's token, as a token of this session; `generation` where it refreshes."""
        claims = reissued(
            taken.claims,
            session=session,
            generation=generation,
            issued=max(opened.at // 1000, opened.not_before + 1),
            not_before=opened.not_before,
        )
        return self._issuer.sign(taken.header, claims)

    def successors(self, taken: Examined, *, session: str, rotation: Rotation) -> Refreshed:
        """The tokens of a rotation, derived from what all who retry it have in common."""
        config = self._config
        ends = rotation.ends_at // 1000 if rotation.ends_at is not None else None
        # Not before its parent, which a login right behind a logout dates a moment ahead.
        parent = int(taken.identity.issued_at or 0) if taken.is_managed else 0
        moment = Moment(max(rotation.at // 1000, parent), ends)
        stays = rotation.verdict is Verdict.CURRENT

        def new_id(use: str) -> UUID:
            if stays or self._ids is None:
                return uuid4()
            return self._ids.of(session, rotation.generation, use)

        renewed = successor(
            taken.claims,
            config,
            session=session,
            generation=rotation.generation,
            moment=moment,
            lifetime=self._terms.renewed,
            new_id=new_id("refresh"),
        )
        if config.is_single:
            return Refreshed(self._issuer.sign(taken.header, renewed), None, renewed)
        access = access_of(
            taken.claims, config, session=session, moment=moment, new_id=new_id("access")
        )
        return Refreshed(
            self._issuer.sign(self._access_header(taken), access),
            None if stays else self._issuer.sign(taken.header, renewed),
            access,
        )

    def trial(self, taken: Examined, *, session: str, now: float) -> str:
        """An access token to ask the upstream with, before anything is spent."""
        claims = access_of(
            taken.claims, self._config, session=session, moment=Moment(int(now)), new_id=uuid4()
        )
        return self._issuer.sign(self._access_header(taken), claims)

    def _access_header(self, taken: Examined) -> Mapping[str, str]:
        """That of the refresh token; without a package `typ` may say that it is one."""
        if self._config.profile != "jwt" or "typ" not in taken.header:
            return taken.header
        return {**taken.header, "typ": "JWT"}
