"""From a file, the environment and options to one `Loaded` configuration, or all faults at once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.config.checks import check, doubts
from gateway.config.document import Config
from gateway.config.environment import override
from gateway.config.expansion import expand
from gateway.config.faults import ConfigError, Fault, KeyPath
from gateway.config.issuer import IssuerConfig
from gateway.config.parts import Parts
from gateway.config.reading import read
from gateway.config.schema import Shape
from gateway.config.server import StoreConfig
from gateway.config.source import Source
from gateway.config.wording import sentences

DEFAULT_FILES = (Path("config.yaml"), Path("/etc/gateway/config.yaml"))


@dataclass(frozen=True, slots=True)
class KeyFinding:
    """What is wrong, or doubtful, about one key of an issuer."""

    key: str
    message: str
    is_fatal: bool = True


# Judges the key material of the issuer of this name; it lives above this package.
KeyJudge = Callable[[str, IssuerConfig], Iterable[KeyFinding]]
# Says what is wrong with a store's URL, None where nothing is; it lives above, too.
StoreJudge = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A usable configuration, where it came from, and what is doubtful about it."""

    config: Config
    source: Source
    warnings: tuple[Fault, ...] = ()


def load(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    judge_keys: KeyJudge = lambda name, issuer: (),
    judge_store: StoreJudge = lambda url: None,
) -> Loaded:
    """The checked configuration; `overrides` are options by dotted key (`server.port`).

    Raises ConfigError with all faults that can be found.
    """
    path = path if path is not None else find_file(environ)
    tree, source, faults = read(path)
    tree, unset = expand(tree, environ)
    source, clashes = override(tree, source, environ=environ, options=overrides or {})
    found = _Found(source, [*faults, *clashes])
    for key, message in unset.items():
        if key not in source.overrides:
            found.add(key, message)
    config, errors = _validated(tree, {"directory": path.parent})
    for key, message in errors:
        found.add(key, message)
    if config is not None:
        parts = Parts.of(config)
    else:
        parts = Parts.salvaged(tree, (key for key, _ in errors), {"directory": path.parent})
    judged = [
        ((*key, finding.key), finding)
        for key, issuer in parts.of_kind(IssuerConfig).items()
        if parts.is_whole(key, "algorithm", "signing_key", "verifying_key", "jwk_url")
        for finding in judge_keys(str(key[-1]), issuer)
    ]
    fatal = [(key, finding.message) for key, finding in judged if finding.is_fatal]
    for key, store in parts.of_kind(StoreConfig).items():
        problem = judge_store(store.url) if parts.is_whole(key, "url") else None
        if problem is not None:
            fatal.append(((*key, "url"), problem))
    for key, message in (*check(parts), *fatal):
        found.add(key, message)
    if found.faults or config is None:
        raise ConfigError(sorted(found.faults, key=lambda fault: fault.line))
    warnings = [(key, finding.message) for key, finding in judged if not finding.is_fatal]
    warnings += doubts(parts)
    return Loaded(config, source, tuple(source.fault(key, text) for key, text in warnings))


class _Found:
    """The faults so far; the first about a key hides those that follow from it."""

    def __init__(self, source: Source, faults: Iterable[Fault]) -> None:
        self.faults = list(faults)
        self._source = source
        self._keys: set[KeyPath] = set()

    def add(self, key: KeyPath, message: str) -> None:
        if key not in self._keys:
            self._keys.add(key)
            self.faults.append(self._source.fault(key, message))


def find_file(environ: Mapping[str, str], candidates: Iterable[Path] = DEFAULT_FILES) -> Path:
    """`$GATEWAY_CONFIG`, or the first default that is there; raises ConfigError for none."""
    named = environ.get("GATEWAY_CONFIG")
    if named:
        return Path(named)
    looked_at = tuple(candidates)
    for path in looked_at:
        if path.exists():
            return path
    places = " and ".join(map(str, looked_at))
    message = f"no configuration: {places} are not there; name one with --config PATH"
    raise ConfigError([Fault("", "", message)])


def _validated(tree: Any, context: Any) -> tuple[Config | None, list[tuple[KeyPath, str]]]:
    try:
        return Config.model_validate(tree, context=context), []
    except ValidationError as error:
        return None, sentences(error.errors(include_url=False), Shape.of_file())
