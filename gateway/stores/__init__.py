"""Where sessions and revocations live: one protocol, in memory and on Redis."""
