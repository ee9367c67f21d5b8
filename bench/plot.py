"""The plot: CPU per request of each peer on a logarithmic axis, as SVG for light and dark pages."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from bench.load import Round
from bench.peers import PEERS

WIDTH, LEFT, RIGHT, TOP, ROW = 720, 270, 70, 44, 26
OWN = ("gateway", "asgi", "compiled", "gateway-2w")
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}"
    ".axis{font-size:11px;fill:#57606a}.grid{stroke:#d0d7de}"
    ".peer{fill:#6e7781;stroke:#6e7781}.own{fill:#1a7f37;stroke:#1a7f37}.spread{stroke-width:3}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.axis{fill:#8d96a0}"
    ".grid{stroke:#30363d}.peer{fill:#8d96a0;stroke:#8d96a0}.own{fill:#3fb950;stroke:#3fb950}}"
)


def plot(rounds: Mapping[str, Sequence[Round]]) -> str:
    """The cheapest first; a dot is the median, the line through it goes from least to most."""
    costs = {
        name: [one.cpu_us_per_request for one in ones]
        for name, ones in rounds.items()
        if ones and all(one.cpu_us_per_request for one in ones)  # 0 has no place on this axis
    }
    height = TOP + ROW * len(costs) + 10
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            "<title>CPU per request of each peer, µs</title>",
            f"<style>{STYLE}</style>",
            '<text x="10" y="18">CPU per request, µs (logarithmic; left is better)</text>',
            *(_drawn(costs, height) if costs else ()),
            "</svg>\n",
        ]
    )


def _drawn(costs: Mapping[str, Sequence[float]], height: int) -> Iterator[str]:
    least, most = min(map(min, costs.values())), max(map(max, costs.values()))
    low = math.log10(least) - 0.1
    scale = (WIDTH - LEFT - RIGHT) / (math.log10(most) - low)

    def x(cost: float) -> float:
        return round(LEFT + (math.log10(cost) - low) * scale, 1)

    for decade in range(math.floor(low), math.ceil(math.log10(most)) + 1):
        for tick in (10.0**decade, 2 * 10.0**decade, 5 * 10.0**decade):
            if low < math.log10(tick) <= math.log10(most):
                at = x(tick)
                yield f'<path class="grid" d="M{at} {TOP - 6}V{height - 8}"/>'
                place = f'x="{at}" y="{TOP - 10}" text-anchor="middle"'
                yield f'<text class="axis" {place}>{tick:,.0f}</text>'
    for row, name in enumerate(sorted(costs, key=lambda name: statistics.median(costs[name]))):
        top, median = TOP + row * ROW, statistics.median(costs[name])
        start, end = x(min(costs[name])), x(max(costs[name]))
        kind = "own" if name in OWN else "peer"
        label = escape(PEERS[name].label)
        yield f'<text x="{LEFT - 8}" y="{top + 14}" text-anchor="end">{label}</text>'
        yield f'<path class="spread {kind}" d="M{start} {top + 10}H{end}"/>'
        yield f'<circle class="{kind}" cx="{x(median)}" cy="{top + 10}" r="5"/>'
        yield f'<text x="{end + 10:.1f}" y="{top + 14}">{median:,.0f}</text>'
