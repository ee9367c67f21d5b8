"""One issuer at run time: its keys, its verifier, and the tokens that are minted in its form."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from gateway.config import IssuerConfig
from gateway.identity import Identity
from gateway.tokens.jwks import JwksSource
from gateway.tokens.jws import encode, serialize
from gateway.tokens.keys import KeyMaterialError, KeySet, load_keys
from gateway.tokens.minting import FORMS, Order
from gateway.tokens.session_claims import BACKDATED
from gateway.tokens.verifier import Verifier

if TYPE_CHECKING:
    import httpx


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
        client: "httpx.AsyncClient | None",
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> "Issuer":
        """The issuer of these settings; raises KeyMaterialError. `client` fetches jwk_url, and may
        be None where there is none."""
        keys = load_keys(config, name=name)
        source = None
        if config.jwk_url is not None:
            assert client is not None
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

        `lifetime` in seconds, `now` in epoch seconds. Raises KeyMaterialError without a signing
        key, and ClaimsUnmet where the form needs a user name that the bearer's token lacks.
        """
        kind = "at+jwt" if self.config.profile == "jwt" else "JWT"
        claims = FORMS[self.config.profile](
            Order(
                config=self.config,
                identity=identity,
                user_claim=self.verifier.user_claim,
                issued=int(now) - BACKDATED,
                expires=int(now + lifetime),
                id=self._new_id(),
            )
        )
        if self.config.audience:
            several = len(self.config.audience) > 1
            claims["aud"] = list(self.config.audience) if several else self.config.audience[0]
        if self.config.issuer is not None:
            claims["iss"] = self.config.issuer
        return self.sign({"typ": kind}, claims)

    def sign(self, header: Mapping[str, str], claims: Mapping[str, Any]) -> str:
        """A token with this header and these claims; `alg` is the issuer's, where it names none.

        Raises KeyMaterialError without a signing key.
        """
        signing = self.keys.signing
        if signing is None:
            raise KeyMaterialError(
                f"issuer {self.name!r}: minting needs a signing_key", "signing_key"
            )
        algorithm = header.get("alg")
        if algorithm not in signing.algorithms:
            algorithm = next(a for a in self.keys.algorithms if a in signing.algorithms)
            header = {"alg": algorithm, **{k: v for k, v in header.items() if k != "alg"}}
        signing_input = serialize(header, claims)
        signature = signing.sign(algorithm, signing_input)
        return (signing_input + b"." + encode(signature)).decode()

    def __repr__(self) -> str:
        return f"<Issuer {self.name} {self.config.profile} {'/'.join(self.keys.algorithms)}>"
