"""Where sessions and revocations live: one protocol, in memory and on Redis."""

from gateway.stores.base import Store
from gateway.stores.memory import MemoryStore
from gateway.stores.redis import RedisStore

__all__ = ["MemoryStore", "RedisStore", "Store"]
