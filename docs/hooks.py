"""What mkdocs leaves to hooks: a navigation that needs no list of all pages, links to other files.

Rule: a page that nobody named in `mkdocs.yml` still stands in the navigation, at its end.
"""

import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)[^)]*\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Leaves out what the navigation names and nobody has written; adds what it does not name."""
    there = {file.src_uri for file in files.documentation_pages()}
    named: set[str] = set()
    sections = [_kept(section, there, named) for section in config.nav or ()]
    rest: list[Any] = sorted(there - named)
    if rest:
        sections.append({"More": rest})
    config.nav = [section for section in sections if section]
    return files


def _kept(item: Any, there: set[str], named: set[str]) -> Any:
    if isinstance(item, str):
        named.add(item)
        return item if item in there else None
    if isinstance(item, list):
        return [kept for inner in item if (kept := _kept(inner, there, named))]
    kept = {title: _kept(inner, there, named) for title, inner in item.items()}
    return kept if all(kept.values()) else None


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Files outside docs/ are not of the site: a link to one leads to the repository, or its name
    stands there alone where `repo_url` does not say where that is."""
    if config.repo_url:
        return _OUTSIDE.sub(rf"[\1]({config.repo_url.rstrip('/')}/blob/main/\2)", markdown)
    return _OUTSIDE.sub(_named, markdown)


def _named(link: re.Match[str]) -> str:
    text, path = link.groups()
    return text if path.rstrip("/").endswith(text) else f"{text} (`{path}`)"
