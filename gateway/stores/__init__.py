"""Where sessions and revocations live: one protocol, in memory and on Redis.

Who needs the store on Redis imports it from `stores.redis`: its library takes 7 MB of each worker.
"""

from gateway.stores.base import Store
from gateway.stores.memory import MemoryStore

__all__ = ["MemoryStore", "Store"]
