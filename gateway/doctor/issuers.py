"""What the settings of issuers tell by themselves: keys, and how long tokens live."""

from collections.abc import Iterator, Mapping
from itertools import combinations

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.config import Config, IssuerConfig
from gateway.doctor.finding import Check, Finding, Subject
from gateway.tokens.keys import FAMILIES, Key, load_keys

HOUR, DAY = 3600.0, 86400.0
_FEWEST_CHARACTERS = 5  # different ones, below which a secret is guessed


def examine_issuers(config: Config) -> Iterator[Finding]:
    """Findings about every issuer, and about each two that share a key."""
    keys = {name: _all_keys(name, issuer) for name, issuer in config.issuers.items()}
    for name, issuer in config.issuers.items():
        subject = Subject(f"issuers.{name}")
        yield from _strength(subject, issuer, name)
        yield from _lifetimes(subject, issuer)
    shared = list(_shared(config.issuers, keys))
    yield from shared
    if len(keys) > 1 and not shared:
        yield Subject("issuers").ok(Check.SHARED_KEY, "no two issuers have a key in common")
    for name, upstream in config.upstreams.items():
        if upstream.mint is not None and upstream.mint.lifetime > 5 * 60:
            yield Subject(f"upstreams.{name}.mint").warning(
                Check.TOKEN_LIFETIME,
                f"lifetime is {_told(upstream.mint.lifetime)}, and these tokens can't be revoked",
                "set lifetime: 30s: one is minted for each request that needs it",
            )


def _strength(subject: Subject, issuer: IssuerConfig, name: str) -> Iterator[Finding]:
    """Keys that are too short are refused at the start; these are those that are let pass."""
    check = Check.WEAK_KEY
    remedy = (
        "python -c 'import secrets; print(secrets.token_urlsafe(64))' makes one; give it to the "
        "app and to the gateway, the old one as a second verifying_key until its tokens are over"
    )
    is_secret = FAMILIES[issuer.algorithm[0]] == "HMAC"
    given = [("signing_key", issuer.signing_key)] if issuer.signing_key is not None else []
    given += [("verifying_key", secret) for secret in issuer.verifying_key]
    guessable = {
        setting
        for setting, secret in given
        if is_secret and len(set(secret.reveal())) < _FEWEST_CHARACTERS
    }
    for setting in sorted(guessable):
        yield subject.error(
            check,
            f"{setting} has fewer than {_FEWEST_CHARACTERS} different characters: it can be "
            "guessed, and with it every token made",
            remedy,
        )
    doubts = load_keys(issuer, name=name).warnings
    for doubt in doubts:
        told = doubt.removeprefix(f"issuer {name!r}: ")
        if told.partition(" ")[0] not in guessable:
            yield subject.warning(check, told, remedy)
    if not doubts and not guessable:
        yield subject.ok(check, f"nothing speaks against its {FAMILIES[issuer.algorithm[0]]} keys")


def _lifetimes(subject: Subject, issuer: IssuerConfig) -> Iterator[Finding]:
    check = Check.TOKEN_LIFETIME
    access, key = issuer.access_token_lifetime, "access_token_lifetime"
    if issuer.is_sliding:
        access, key = issuer.sliding_token_lifetime, "sliding_token_lifetime"
    found: list[Finding] = []
    if access > HOUR:
        found.append(
            subject.warning(
                check,
                f"{key} is {_told(access)}; RFC 6750 §5.3 advises one hour or less",
                f"set {key}: 5m, as simplejwt has it by default: clients refresh",
            )
        )
    if issuer.refresh_token_lifetime > 30 * DAY:
        found.append(
            subject.warning(
                check,
                f"refresh_token_lifetime is {_told(issuer.refresh_token_lifetime)}; RFC 9700 "
                "§4.14.2 has refresh tokens end when they are not used for a time",
                "set refresh_token_lifetime: 30d or less",
            )
        )
    rotates = issuer.rotate_refresh_tokens or issuer.is_single
    if not rotates and issuer.endpoints.refresh is not None:
        found.append(
            subject.warning(
                check,
                "rotate_refresh_tokens is false: a stolen refresh token is good until it expires, "
                "and nobody notices (RFC 9700 §2.2.2 asks public clients for rotation)",
                "set rotate_refresh_tokens: true, once clients keep the new refresh token",
            )
        )
    for key, value, most, why in (
        ("leeway", issuer.leeway, 300, "expired tokens are good for so much longer"),
        ("refresh_grace", issuer.refresh_grace, 60, "a stolen token is not noticed for so long"),
    ):
        if value > most:
            remedy = f"set {key}: {'10s' if key == 'refresh_grace' else '30s'} or so"
            found.append(subject.warning(check, f"{key} is {_told(value)}: {why}", remedy))
    yield from found
    if not found:
        life = f"access {_told(access)}, refresh {_told(issuer.refresh_token_lifetime)}"
        yield subject.ok(check, f"{life}: within what is advised")


def _all_keys(name: str, issuer: IssuerConfig) -> frozenset[bytes]:
    return frozenset(_written(key) for key in load_keys(issuer, name=name).verifying)


def _written(key: Key) -> bytes:
    """What two equal keys have in common, however they were written."""
    if isinstance(key.material, bytes):
        return key.material
    encoded: bytes = key.material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _shared(
    issuers: Mapping[str, IssuerConfig], keys: Mapping[str, frozenset[bytes]]
) -> Iterator[Finding]:
    for one, other in combinations(issuers, 2):
        first, second = issuers[one], issuers[other]
        if not keys[one] & keys[other] and not (
            first.jwk_url is not None and first.jwk_url == second.jwk_url
        ):
            continue
        subject = Subject(f"issuers.{one}, issuers.{other}")
        remedy = (
            "give each app a key of its own (SIMPLE_JWT['SIGNING_KEY'], "
            "JWT_AUTH['JWT_SECRET_KEY']); where both are one app's, let them differ in issuer "
            "or audience"
        )
        if _are_told_apart(first, second):
            yield subject.warning(
                Check.SHARED_KEY,
                "both have the same key; only iss or aud tells their tokens apart",
                remedy,
            )
        else:
            yield subject.error(
                Check.SHARED_KEY,
                "both have the same key, and neither iss nor aud tells their tokens apart: a token "
                "of one is good for the other",
                remedy,
            )


def _are_told_apart(first: IssuerConfig, second: IssuerConfig) -> bool:
    if first.issuer and second.issuer and first.issuer != second.issuer:
        return True
    return bool(
        first.audience and second.audience and not set(first.audience) & set(second.audience)
    )


def _told(seconds: float) -> str:
    for size, unit in ((DAY, "d"), (HOUR, "h"), (60.0, "m")):
        if seconds >= size:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
