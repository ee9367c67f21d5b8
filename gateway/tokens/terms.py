"""On what terms an issuer's tokens live: derived from its settings once, and pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config import IssuerConfig
from gateway.errors import Flaw
from gateway.stores.base import Policy
from gateway.tokens.rules import EXACT_FLOAT
from gateway.tokens.verifier import Use

# Seconds by which the clocks of the gateway, the upstream and the store may be apart.
CLOCK_SKEW = 60.0


@dataclass(frozen=True, slots=True)
class Terms:
    """`use` is what the token that refreshes must be, `renewed` its life in seconds.

    `window` names the claim that tells until when a single token can be refreshed, `window_life`
    the seconds to add to it; None for pairs, whose refresh token has an `exp` of its own.
    """

    policy: Policy
    use: Use
    renewed: float
    leeway: float
    window: str | None = None
    window_life: float = 0.0

    @classmethod
    def of(cls, config: IssuerConfig) -> "Terms":
        use, renewed = Use.REFRESH, config.refresh_token_lifetime
        access = config.access_token_lifetime
        window, window_life = None, 0.0
        if config.is_sliding:
            use, renewed, window = Use.SLIDING, config.sliding_token_lifetime, "refresh_exp"
            access = renewed
        elif config.is_single:
            use, renewed, window = Use.ACCESS, access, "orig_iat"
            window_life = config.refresh_token_lifetime
        slack = config.leeway + 1  # the oldest package honours a token through its last second
        policy = Policy(
            grace=milliseconds(config.refresh_grace),
            record_life=milliseconds(renewed + slack),
            access_life=milliseconds(access + slack + CLOCK_SKEW),
            rotates=config.rotate_refresh_tokens,
            detects_reuse=config.blacklist_after_rotation,
            is_single=config.is_single,
        )
        return cls(policy, use, renewed, config.leeway, window, window_life)

    def flaw_in_window(self, claims: Mapping[str, Any], now: float) -> Flaw | None:
        """Why this token can't be refreshed any more, or never could; `now` in epoch seconds."""
        if self.window is None:
            return None
        value = claims.get(self.window)
        if value is None:
            is_sliding = self.use is Use.SLIDING
            return Flaw.NO_REFRESH_EXPIRY if is_sliding else Flaw.NO_ORIGIN
        if isinstance(value, bool) or not isinstance(value, int | float):
            return Flaw.INVALID
        if not abs(value) < EXACT_FLOAT:  # nor is NaN
            return Flaw.INVALID
        is_over = now > value + self.window_life + self.leeway
        return Flaw.REFRESH_EXPIRED if is_over else None


def milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
