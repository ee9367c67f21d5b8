"""What the fuzzer once found to reach something new stays safe."""

from tests.fuzz.corpus import CORPUS, check, seeds
from tests.fuzz.harness import Harness


def test_the_corpus_is_safe(harness: Harness) -> None:
    inputs = [*seeds(), *(file.read_bytes() for file in sorted(CORPUS.iterdir()))]
    assert len(inputs) > len(list(seeds()))
    for data in inputs:
        check(harness, data)
