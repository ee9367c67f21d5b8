"""The plot is an SVG in which a peer that costs more stands further right."""

from xml.etree import ElementTree

from bench.plot import plot
from tests.bench.rounds import a_round

SVG = "{http://www.w3.org/2000/svg}"


def test_dots_go_from_the_cheapest_to_the_dearest() -> None:
    drawn = ElementTree.fromstring(
        plot(
            {
                "usual": [a_round(cpu=2000)],
                "gateway": [a_round(cpu=20), a_round(cpu=30), a_round(cpu=22)],
                "nginx": [a_round(cpu=15)],
            }
        )
    )
    places = [float(dot.get("cx", "")) for dot in drawn.iter(f"{SVG}circle")]
    assert places == sorted(set(places))
    labels = [text.text for text in drawn.iter(f"{SVG}text") if text.get("text-anchor") == "end"]
    assert labels == ["nginx proxy_pass, no auth", "gateway", "Starlette + httpx + PyJWT"]
    assert "prefers-color-scheme:dark" in "".join(drawn.itertext())


def test_a_run_without_rounds_has_an_empty_plot() -> None:
    assert not list(ElementTree.fromstring(plot({})).iter(f"{SVG}circle"))


def test_a_peer_whose_cpu_was_not_found_is_left_out() -> None:
    drawn = ElementTree.fromstring(
        plot({"gateway": [a_round(cpu=20)], "caddy": [a_round(cpu=0), a_round(cpu=9)]})
    )
    assert len(list(drawn.iter(f"{SVG}circle"))) == 1
