"""Who a verified token speaks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """The verified bearer of a token.

    `user_id` is the text of the issuer's `user_id_claim` (or of its user name claim where the
    package identifies users by name); `expires_at` is in epoch seconds, infinity for a token
    without `exp`. `session_id` is what a revocation names: the token's `sid`, else its own id;
    `issued_at` when it was issued, epoch seconds, None where it does not tell; `generation` only
    where the access token is also the one that refreshes. Compared by object: two requests with
    one token share one cached Identity.
    """

    issuer: str
    user_id: str
    expires_at: float
    session_id: str | None = None
    issued_at: float | None = None
    generation: int | None = None
    claims: Mapping[str, Any] = field(repr=False, default_factory=dict)
