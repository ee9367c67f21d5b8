"""`gateway init`: from a Django project to a config.yaml that serves it as it is.

The project is asked in its own Python (`asking`, `probe`), its settings are mapped by name
(`found`), its views become endpoints and routes (`paths`, `routes`), and the text (`document`) is
read by the loader before anybody gets it.
"""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.config import ConfigError, load
from gateway.init.asking import InitError, ask_project
from gateway.init.cross_origin import cors_doubt
from gateway.init.document import Answers, document
from gateway.init.found import signing_of
from gateway.init.paths import is_worded_as_package, package_of, paths_of

__all__ = ["InitError", "Written", "write_config"]

_PLACEHOLDER = "stands for a secret that is not looked at"


@dataclass(frozen=True, slots=True)
class Written:
    """A file's text, what to look at, and the variables that have to be set for it."""

    text: str
    warnings: tuple[str, ...]
    variables: tuple[str, ...]


def write_config(
    module: str,
    *,
    directory: Path,
    upstream: str,
    python: Path | None,
    environ: Mapping[str, str],
) -> Written:
    """The configuration for a Django project; raises InitError."""
    facts = ask_project(module, directory=directory, python=python, environ=environ)
    package = package_of(facts)
    signing = signing_of(facts, package)
    paths = paths_of(facts, package, signing)
    warnings = [*signing.warnings, *paths.warnings]
    if not is_worded_as_package(facts):
        warnings.append(
            "the app's errors are its own, or in another language: what the gateway refuses by "
            "itself (a bad token) is worded as the package words it, in English"
        )
    if facts["believes_proxy"]:
        warnings.append(
            "the project minds X-Forwarded-Proto: set server.trusted_proxies to what ends TLS"
        )
    if facts["script_name"]:
        warnings.append("FORCE_SCRIPT_NAME: paths here are those that the project itself sees")
    cross_origin = cors_doubt(facts)
    if cross_origin:
        warnings.append(cross_origin)
    answers = Answers(
        name=_name_of(directory),
        module=module,
        upstream=upstream,
        facts=facts,
        signing=signing,
        paths=paths,
        warnings=tuple(warnings),
    )
    text = document(answers)
    named = tuple(dict.fromkeys(re.findall(r"^[^#]*\$\{(\w+)\}", text, re.MULTILINE)))
    _check(text, {name: environ.get(name) or _PLACEHOLDER for name in named})
    return Written(text, answers.warnings, named)


def _name_of(directory: Path) -> str:
    """The project's name, as far as a name of the file may have it."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", directory.resolve().name).strip("-") or "app"


def _check(text: str, environ: Mapping[str, str]) -> None:
    """Raises InitError unless the loader takes it, whatever the secrets are."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "config.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            load(file, environ=environ)
        except ConfigError as error:
            faults = "\n".join(f"  {fault.key}: {fault.message}" for fault in error.faults)
            raise InitError(f"the project asks for what the gateway can't do:\n{faults}") from None
