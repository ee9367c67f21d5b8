"""`cors` of a route: which origins it takes, and what else has to be right for its pages."""

from pathlib import Path

import pytest

from tests.config.samples import faults_of, file_with, load_text

ROUTE = "{{path: /, cors: {{origins: [{0}]}}, @TO}}"

ORIGINS = {
    "lower case": ("HTTPS://App.Example.ORG", "https://app.example.org"),
    "own port": ("https://app.example.org:443", "https://app.example.org"),
    "own port of http": ("http://app.example.org:80", "http://app.example.org"),
    "other port": ("https://app.example.org:80", "https://app.example.org:80"),
    "address": ("'http://[::1]:3000'", "http://[::1]:3000"),
    "null": ("'null'", "null"),
    "all": ("'*'", "*"),
}


@pytest.mark.parametrize(("written", "kept"), ORIGINS.values(), ids=ORIGINS)
def test_an_origin_is_kept_as_browsers_write_it(tmp_path: Path, written: str, kept: str) -> None:
    loaded = load_text(tmp_path, file_with(route=ROUTE.format(written)))

    cors = loaded.config.routes[0].cors
    assert cors is not None
    assert cors.origins == (kept,)


NOT_ORIGINS = {
    "a path": "https://app.example.org/",
    "no scheme": "app.example.org",
    "a pattern": "'https://*.example.org'",
    "a user": "https://me@app.example.org",
    "another scheme": "ftp://app.example.org",
}


@pytest.mark.parametrize("written", NOT_ORIGINS.values(), ids=NOT_ORIGINS)
def test_what_is_no_origin_is_refused(tmp_path: Path, written: str) -> None:
    (fault,) = faults_of(tmp_path, file_with(route=ROUTE.format(written)))

    assert fault.startswith("config.yaml:8: routes[0].cors.origins[0]: must be an origin such as")


def test_cors_credentials_need_named_origins(tmp_path: Path) -> None:
    route = "{path: /, cors: {origins: ['*'], credentials: true}, @TO}"

    assert faults_of(tmp_path, file_with(route=route)) == [
        "config.yaml:8: routes[0].cors.credentials: needs named origins, not *"
    ]


def test_the_example_of_the_documentation_is_good_and_covers_the_token_paths(
    tmp_path: Path,
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cors.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    before, _, _ = file_with().partition("routes:")

    loaded = load_text(tmp_path, before + example)

    assert loaded.warnings == ()
    assert loaded.config.routes[1].cors is not None


def doubts_of(directory: Path, text: str) -> list[str]:
    warnings = load_text(directory, text).warnings
    return [str(warning).replace(f"{directory}/", "") for warning in warnings]


def test_token_paths_that_no_route_with_cors_covers_are_told(tmp_path: Path) -> None:
    text = file_with(
        issuer="{@ISSUER, endpoints: {refresh: /api/refresh/, verify: null}}",
        route="{path: /api, cors: {origins: ['*']}, @TO}",
    )

    assert doubts_of(tmp_path, text) == [
        "config.yaml:4: issuers.students.endpoints: pages of other origins may call routes of this "
        "issuer, and can't use /gettoken/, /logout/: no route with cors covers them"
    ]


OTHERS = {
    "covers them": ("path: /, cors: {origins: ['*']}", True),
    "comes first without cors": ("path: /", False),
    "takes no POST": ("path: /, methods: [GET], cors: {origins: ['*']}", False),
}


@pytest.mark.parametrize(("other", "is_fine"), OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("before", ["", "{path: /, hosts: [other.example], @TO}\n  - "])
def test_the_first_route_that_a_login_would_take_counts(
    tmp_path: Path, before: str, other: str, is_fine: bool
) -> None:
    cors = "{path: /api, cors: {origins: ['*']}, @TO}"
    text = file_with(route=f"{before}{cors}\n  - {{{other}, @TO}}")

    assert bool(doubts_of(tmp_path, text)) is not is_fine


def test_a_header_for_the_token_that_pages_may_not_set_is_told(tmp_path: Path) -> None:
    text = file_with(
        issuer="{@ISSUER, auth_header_name: X-Token}",
        route="{path: /, cors: {origins: ['*'], headers: [authorization]}, @TO}",
    )

    assert doubts_of(tmp_path, text) == [
        "config.yaml:8: routes[0].cors.headers: pages can't send their token: X-Token is not in it"
    ]
    assert not doubts_of(tmp_path, text.replace("[authorization]", "[x-token]"))
    assert not doubts_of(tmp_path, text.replace("[authorization]", "['*']"))


def test_null_with_credentials_is_told(tmp_path: Path) -> None:
    text = file_with(route="{path: /, cors: {origins: ['null'], credentials: true}, @TO}")

    (doubt,) = doubts_of(tmp_path, text)
    assert doubt.startswith("config.yaml:8: routes[0].cors.origins: any site can open a page")
