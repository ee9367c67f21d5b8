"""How often a token was verified before, read off the caches when somebody asks."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.tokens.cache import VerifiedTokens


class TokenMetrics(Collector):
    """Follows the caches of the gateway that answers; what was counted outlives a reload."""

    def __init__(self) -> None:
        self._caches: Sequence[VerifiedTokens] = ()
        self._hits = 0
        self._misses = 0

    def follow(self, caches: Sequence[VerifiedTokens]) -> None:
        self._hits, self._misses = self._counted()
        self._caches = caches

    def collect(self) -> Iterator[Metric]:
        looked_up = CounterMetricFamily(
            "gateway_token_cache",
            "Tokens that were looked up: hit, verified before; miss, judged anew.",
            labels=("result",),
        )
        hits, misses = self._counted()
        looked_up.add_metric(("hit",), hits)
        looked_up.add_metric(("miss",), misses)
        yield looked_up

    def _counted(self) -> tuple[int, int]:
        return (
            self._hits + sum(cache.hits for cache in self._caches),
            self._misses + sum(cache.misses for cache in self._caches),
        )
