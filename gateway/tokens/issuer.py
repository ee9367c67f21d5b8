"""One issuer at run time: its keys, its verifier, and the tokens that are minted in its form."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx

from gateway.config import IssuerConfig
from gateway.identity import Identity
from gateway.tokens.jwks import JwksSource
from gateway.tokens.jws import encode, serialize
from gateway.tokens.keys import KeyMaterialError, KeySet, load_keys
from gateway.tokens.verifier import Verifier

# PyJWT 2 refuses an `iat` ahead of the verifier's clock.
_BACKDATED = 2


class Issuer:
    """Who signs tokens: verifies them, and mints some of its own where it has the key."""

    def __init__(
        self,
        name: str,
        config: IssuerConfig,
        *,
        keys: KeySet,
        source: JwksSource | None,
        wall: Callable[[], float],
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self.name = name
        self.config = config
        self.keys = keys
        self.source = source
        self.verifier = Verifier(name=name, config=config, keys=keys, source=source, wall=wall)
        self._new_id = new_id

    @classmethod
    def build(
        cls,
        name: str,
        config: IssuerConfig,
        *,
        client: httpx.AsyncClient,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> "Issuer":
        """The issuer of these settings; raises KeyMaterialError. `client` fetches jwk_url."""
        keys = load_keys(config, name=name)
        source = None
        if config.jwk_url is not None:
            source = JwksSource(
                config.jwk_url,
                issuer=name,
                algorithms=keys.algorithms,
                client=client,
                monotonic=monotonic,
                wall=wall,
            )
        return cls(name, config, keys=keys, source=source, wall=wall)

    def mint(self, identity: Identity, *, lifetime: float, now: float) -> str:
        """A fresh access token for the bearer, in the form that this issuer's package expects.

        Only who the bearer is goes in, none of the claims that another issuer made. `lifetime` in
        seconds, `now` in epoch seconds; raises KeyMaterialError without a signing key.
        """
        signing = self.keys.signing
        if signing is None:
            raise KeyMaterialError(
                f"issuer {self.name!r}: minting needs a signing_key", "signing_key"
            )
        algorithm = next(a for a in self.keys.algorithms if a in signing.algorithms)
        kind = "at+jwt" if self.config.profile == "jwt" else "JWT"
        claims = self._claims(identity, int(now), int(now + lifetime))
        if self.config.audience:
            several = len(self.config.audience) > 1
            claims["aud"] = list(self.config.audience) if several else self.config.audience[0]
        if self.config.issuer is not None:
            claims["iss"] = self.config.issuer
        signing_input = serialize({"alg": algorithm, "typ": kind}, claims)
        signature = signing.sign(algorithm, signing_input)
        return (signing_input + b"." + encode(signature)).decode()

    def _claims(self, identity: Identity, now: int, expires: int) -> dict[str, Any]:
        config = self.config
        issued = now - _BACKDATED
        user_id: int | str = identity.user_id
        username = identity.claims.get("username") or identity.user_id
        if config.profile == "simplejwt":
            return {
                config.token_type_claim: "access",
                "exp": expires,
                "iat": issued,
                config.jti_claim: self._new_id().hex,
                config.user_id_claim: user_id,
            }
        if config.profile == "jwt":
            user_claim = self.verifier.user_claim
            return {
                user_claim: user_id,
                "iat": issued,
                "exp": expires,
                config.jti_claim: self._new_id().hex,
            }
        # The older packages write the primary key as it is, mostly a number.
        number = identity.user_id
        user_id = int(number) if number.isascii() and number.isdigit() else number
        if config.profile == "drf-jwt":
            return {
                "username": username,
                "iat": issued,
                "exp": expires,
                config.jti_claim: str(self._new_id()),
                config.user_id_claim: user_id,
                "orig_iat": issued,
            }
        return {
            config.user_id_claim: user_id,
            "username": username,
            "exp": expires,
            "email": identity.claims.get("email", ""),
            "orig_iat": issued,
        }

    def __repr__(self) -> str:
        return f"<Issuer {self.name} {self.config.profile} {'/'.join(self.keys.algorithms)}>"
