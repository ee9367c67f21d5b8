"""The documentation builds as a site, holds all pages, and loads nothing from elsewhere."""

import functools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from docs.hooks import on_files
from gateway.config import load
from tests.integration.browser import browsing
from tests.test_readme import blocks_of

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", directory],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return directory


class Loaded(HTMLParser):
    """What a browser fetches to show a page, and where the page's links lead."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads: set[str] = set()
        self.links: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "a":
            self.links.add(named.get("href") or "")
        elif tag in ("script", "img", "iframe", "source"):
            self.loads.add(named.get("src") or "")
        elif tag == "link" and named.get("rel") in ("stylesheet", "preconnect", "icon"):
            self.loads.add(named.get("href") or "")


def test_the_navigation_leads_to_every_page(site: Path) -> None:
    links = Loaded(site / "index.html").links
    assert {f"{name}.html" for name in PAGES if name != "index"} <= links


def test_no_page_needs_a_network(site: Path) -> None:
    for page in site.glob("*.html"):
        loads = Loaded(page).loads
        assert any(load.endswith(".css") for load in loads)
        assert not [load for load in loads if re.match(r"https?:|//", load)]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    """The site's URL, on a server that has files and nothing else."""
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


async def test_its_search_finds_a_page_and_asks_nobody_else(served: str, tmp_path: Path) -> None:
    async with browsing(tmp_path) as page:
        await page.visit(f"{served}index.html")
        await page.evaluate("document.querySelector('.md-search__input').focus()")
        await page.type("rotation")
        await page.until("!!document.querySelector('.md-search-result__link[href*=key-rotation]')")
        assert [url for url in page.asked if not url.startswith((served, "data:", "blob:"))] == []
        assert page.complaints == []


def test_sources_are_not_of_the_site(site: Path) -> None:
    assert not list(site.rglob("*.py"))
    for page in site.glob("*.html"):
        assert not [link for link in Loaded(page).links if link.startswith("../")]


def navigation(named: list[Any], *there: str) -> Any:
    files = Files([File(name, "docs", "site", use_directory_urls=False) for name in there])
    config = MkDocsConfig()
    config.nav = named
    on_files(files, config)
    return config.nav


def test_a_page_that_is_not_written_yet_is_left_out() -> None:
    named = [{"Home": "index.md"}, {"Start": ["start.md", "absent.md"]}, {"None": ["absent.md"]}]
    assert navigation(named, "index.md", "start.md") == [
        {"Home": "index.md"},
        {"Start": ["start.md"]},
    ]


def test_a_page_that_nobody_named_comes_last() -> None:
    named = [{"Home": "index.md"}]
    assert navigation(named, "index.md", "new.md") == [{"Home": "index.md"}, {"More": ["new.md"]}]


@pytest.mark.parametrize("page", ["start", "migration-drf-jwt"])
def test_the_configuration_on_a_page_is_accepted(page: str, tmp_path: Path) -> None:
    (config,) = blocks_of((ROOT / "docs" / f"{page}.md").read_text())["yaml"]
    environ = {"DJANGO_SECRET_KEY": "a-secret-for-this-test-alone-with-its-fifty-characters"}
    (tmp_path / "config.yaml").write_text(config)
    loaded = load(tmp_path / "config.yaml", environ=environ)
    assert not loaded.warnings
