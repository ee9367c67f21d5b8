"""Keys that the file format knows and the gateway does not obey yet.

A value other than the default is refused, so that nobody relies on what does not happen. Whoever
makes a key work deletes its line here.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gateway.config.document import Config
from gateway.config.faults import KeyPath

_Allowed = Callable[[Any], bool]

# Of each section: the keys, and which values work already where that is not the default alone.
NOT_YET: Mapping[str, Mapping[str, _Allowed | None]] = {
    "upstreams": {
        "identity": lambda identity: identity != "drf_token",
    },
}

_SMALLEST = {
    "upstreams": {"some": {"servers": ["http://localhost"]}},
    "routes": [{"path": "/", "upstream": "some"}],
}


def not_yet(items: Mapping[KeyPath, Any]) -> Iterator[tuple[KeyPath, str]]:
    """What the sections in `items` ask for that does not work yet."""
    smallest = Config.model_validate(_SMALLEST)
    defaults = {
        **{name: getattr(smallest, name) for name in NOT_YET},
        "upstreams": smallest.upstreams["some"],
    }
    for path, section in items.items():
        kind = str(path[0])
        for key, works in NOT_YET.get(kind, {}).items():
            value = getattr(section, key)
            if value == getattr(defaults[kind], key) or (works is not None and works(value)):
                continue
            yield (*path, key), _sentence(works is not None)


def _sentence(is_partly: bool) -> str:
    return "this value is not supported yet" if is_partly else "not supported yet; leave it out"
