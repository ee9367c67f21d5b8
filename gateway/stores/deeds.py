"""What is asked of a server: a script, its keys and its words.

The keys of a session, its user and the log share a hash tag: one bucket, or 16 in a cluster.

    {prefix}:{b}:s:<issuer>:<mark>:<session>          a session
    {prefix}:{b}:u:<issuer>:<user>      not-before    {prefix}:{b}:t:<issuer>:<token>  its session
    {prefix}:{b}:rev                    the log       {prefix}:{b}:a:<issuer>:<token>  kept answer
    {prefix}:{b}:rev:mark               written before WAIT
    {prefix}:{b}:life                   longest access life
    {prefix}:{n}:probe                  written to see that a master takes writes
    {prefix}:l:<name>  {prefix}:f:<name>              buckets of tokens, counts of failures

The mark is of the user, 16 bits: by it a server finds the few keys that may be a user's without a
look into all others. An index would be written at every login, and weigh half as much again.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from zlib import crc32

from gateway.stores.scripts import END_SESSION, END_USER, REVOKE, SESSIONS, Script, Word
from gateway.stores.session import UNTOLD, Policy, Presented, SessionKey


class Deed(NamedTuple):
    """A script with its words."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[Word]
    # Whether what it did, by its answer, must not be undone by a failover.
    must_last: Callable[[Any], bool] | None = None


class Deeds:
    """Words the deeds of one store. `retention` is the longest access life, in milliseconds."""

    def __init__(self, prefix: str, *, buckets: int, retention: int) -> None:
        self._prefix = prefix
        self._buckets = buckets
        self._retention = retention

    def logs(self) -> list[str]:
        return [f"{self._prefix}:{{{bucket}}}:rev" for bucket in range(self._buckets)]

    def key(self, kind: str, issuer: str, user: str, name: str) -> str:
        return f"{self._bucket(user)}:{kind}:{issuer}:{name}"

    def session_key(self, key: SessionKey) -> str:
        return f"{self._sessions_of(key.issuer, key.user)}{key.id}"

    def bucket_key(self, name: str) -> str:
        return f"{self._prefix}:l:{name}"

    def failures_key(self, name: str) -> str:
        return f"{self._prefix}:f:{name}"

    def of(
        self, script: Script, key: SessionKey, presented: Presented, policy: Policy, *more: Word
    ) -> Deed:
        """A script that begins with `session.lua`, which says what the words are."""
        bucket, issuer = self._bucket(key.user), key.issuer
        keys = (
            f"{bucket}:u:{issuer}:{key.user}",
            f"{bucket}:rev",
            f"{bucket}:life",
            self.session_key(key),
        )
        words = (
            presented.generation,
            int(presented.is_managed),
            "" if presented.issued_at is None else presented.issued_at,
            presented.life,
            "" if presented.ends_at is None else presented.ends_at,
            policy.grace,
            policy.record_life,
            policy.access_life,
            int(policy.rotates),
            int(policy.detects_reuse),
            int(policy.is_single),
            issuer,
            key.user,
            key.id,
            self._retention,
        )
        return Deed(script, keys, words + more)

    def end_user(self, issuer: str, user: str, policy: Policy, *, since: int | None) -> Deed:
        """Ends all that was issued until `since`, in epoch seconds; until now, where it is None."""
        word = "" if since is None else since
        deed = self.of(END_USER, SessionKey(issuer, user, ""), UNTOLD, policy, word)
        return deed._replace(must_last=always)

    def revoke(self, key: SessionKey, policy: Policy) -> Deed:
        """Ends a session by its id."""
        return self.of(REVOKE, key, UNTOLD, policy)._replace(must_last=always)

    def page_of_sessions(self, issuer: str, user: str, cursor: Word, size: int) -> Deed:
        """Looks for sessions of a user among some of the keys."""
        bucket = self._bucket(user)
        words = (cursor, self._sessions_of(issuer, user), user, size)
        return Deed(SESSIONS, (f"{bucket}:u:{issuer}:{user}",), words)

    def end_again(self, key: SessionKey, presented: Presented, policy: Policy) -> Deed:
        """Ends a session that has been ended before, unjudged."""
        return self.of(END_SESSION, key, presented, policy, 1)._replace(must_last=always)

    def _bucket(self, user: str) -> str:
        return f"{self._prefix}:{{{crc32(user.encode()) % self._buckets}}}"

    def _sessions_of(self, issuer: str, user: str) -> str:
        """What the keys of the user's sessions begin with, and of few others'."""
        return f"{self._bucket(user)}:s:{issuer}:{crc32(user.encode()) >> 16:04x}:"


def always(_answer: object) -> bool:
    return True


def is_reused(answer: Sequence[object]) -> bool:
    return answer[0] == b"reused"
