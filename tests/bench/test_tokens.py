"""The tokens of a load: good ones, the same for each peer, or never seen before."""

from pathlib import Path
from time import time

import jwt
import pytest

from bench import load
from bench.load import LOADS, Tokens

KEY = "k" * 32


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path, signing_key=KEY, clock=time)


def test_known_tokens_are_written_once_and_are_all_distinct(tokens: Tokens) -> None:
    written = tokens.written(LOADS["posts"].tokens)
    first = written.read_text().split()
    assert len(set(first)) == 1000
    assert tokens.written(LOADS["posts"].tokens).read_text().split() == first


def test_fresh_tokens_were_never_sent_before(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "FRESH_TOKENS_PER_SECOND", 100)
    batches = [set(tokens.fresh(seconds=2).read_text().split()) for _ in range(3)]
    batches.append(set(tokens.written(100).read_text().split()))
    assert [len(batch) for batch in batches] == [200, 200, 200, 100]
    assert len(set.union(*batches)) == 700


def test_a_token_is_a_good_access_token(tokens: Tokens) -> None:
    claims = jwt.decode(tokens.written(1).read_text().strip(), KEY, algorithms=["HS256"])
    assert claims["token_type"] == "access"
