"""The Live page without its browser: dashboards as values, queries, units, grid, and text blocks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from config.errors import ServiceUnavailable, TidemarkError
from config.settings import Settings
from monitor.console import blocks, charts
from monitor.console.board import Board, Panel, Step, read_board, read_boards, scrape_interval_s
from monitor.console.layout import bands
from monitor.console.prometheus import Mark, Prometheus, Series
from monitor.console.query import ALL, Span, chosen, fill, label_values, legend
from monitor.console.serve import options, prometheus_address
from monitor.console.units import COLORS, show, step_color
from tests.support.dashboards import DASHBOARDS
from tests.support.ports import free_ports
from tests.support.results import HOSTILE

SPAN = Span(1_700_000_003.0, 1800, 5)


@pytest.fixture(scope="module")
def boards() -> dict[str, Board]:
    return read_boards()


def panel_of(boards: dict[str, Board], title: str) -> Panel:
    return next(p for b in boards.values() for s in b.sections for p in s.panels if p.title == title)


def series(name: str, *values: float, ref: str = "A", **labels: str) -> Series:
    return Series(name, labels, ref, tuple(((1_700_000_000.0 - 10 * (len(values) - i)) * 1000, v) for i, v in enumerate(values)))


def test_every_committed_panel_is_read(boards: dict[str, Board]) -> None:
    """The page knows every panel, target and variable of the very files that Grafana reads; the overview comes first."""
    assert next(iter(boards)) == "tidemark-overview"
    for path in DASHBOARDS:
        content = json.loads(path.read_text(encoding="utf-8"))
        board = boards[content["uid"]]
        wanted = [(p["title"], [t["expr"] for t in p["targets"]]) for p in content["panels"] if p["type"] != "row"]
        assert [(p.title, [t.expression for t in p.targets]) for s in board.sections for p in s.panels] == wanted
        assert [s.title for s in board.sections] == [p["title"] for p in content["panels"] if p["type"] == "row"]
        assert [v.name for v in board.variables] == [v["name"] for v in content["templating"]["list"]]
    assert scrape_interval_s() == 5


def test_a_panel_that_cannot_be_drawn_is_an_error(tmp_path: Path) -> None:
    """A panel type that the page doesn't know, no dashboards, and no JSON are errors that name the folder or file."""
    (tmp_path / "dashboards").mkdir()
    with pytest.raises(TidemarkError, match="no dashboards"):
        read_boards(tmp_path)
    content = json.loads(DASHBOARDS[0].read_text(encoding="utf-8"))
    content["panels"][1]["type"] = "piechart"
    with pytest.raises(ValueError, match="piechart"):
        read_board(content)
    (tmp_path / "dashboards" / "x.json").write_text("{")
    with pytest.raises(TidemarkError, match=r"x\.json"):
        read_boards(tmp_path)


def test_steps_are_round_and_rates_see_four_scrapes() -> None:
    """Half an hour has points every 10 s, and `$__rate_interval` is Grafana's: step and a scrape, four scrapes at least."""
    assert (SPAN.step_s(), SPAN.rate_interval_s()) == (10, 20)
    assert (Span(0, 86400, 5).step_s(), Span(0, 86400, 5).rate_interval_s()) == (600, 605)
    assert SPAN.step_s(120) == 15
    start, end = SPAN.bounds()
    assert (start % 10, end, end - start) == (0, 1_700_000_000.0, 1800)
    assert Span(0, 300, 5).step_s() == 5


def test_variables_are_filled_in() -> None:
    """Both spellings of a variable, Grafana's built-in ones, and nothing else; an unknown one is a KeyError."""
    text = fill('rate(x{m=~"$model",c=~"${column}"}[$__rate_interval]) $__interval $__range', {"model": "a|b", "column": ALL}, SPAN)
    assert text == 'rate(x{m=~"a|b",c=~".*"}[20s]) 10s 1800s'
    with pytest.raises(KeyError, match="nobody"):
        fill("$nobody", {}, SPAN)


def test_chosen_values_are_taken_literally() -> None:
    """Names with characters of regular expressions, quotes and backslashes match themselves; no choice is everything."""
    assert chosen([]) == ALL
    assert chosen(["a.b", "c d"]) == r"a\\.b|c d"
    assert chosen(['q"\\']) == r"q\"\\\\"


def test_label_values_are_split() -> None:
    """Series and label of a query variable, also where the selector has commas; other queries are errors."""
    assert label_values('label_values(x{a=~"$a",b="c"}, run_kind)') == ('x{a=~"$a",b="c"}', "run_kind")
    assert label_values("label_values(model)") == ("", "model")
    with pytest.raises(ValueError, match="query_result"):
        label_values("query_result(up)")


def test_legends_are_filled_from_labels() -> None:
    """A label that is missing leaves no gap; without a template the labels themselves stand there."""
    assert legend("{{model}} {{ none }} p95", {"model": "m"}) == "m p95"
    assert legend("", {"__name__": "up", "job": "j"}) == 'up{job="j"}'


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.25, "percentunit", "25 %"), (0.0375, "percentunit", "3.8 %"), (0, "short", "0"), (12_345, "short", "12.3 k"),
        (0.00012, "s", "120 µs"), (0.5, "s", "500 ms"), (90, "s", "1.5 min"), (86_400, "s", "1 d"), (0, "s", "0"), (-2, "s", "-2 s"),
        (512, "bytes", "512 B"), (1_572_864, "bytes", "1.5 MiB"), (0, "bytes", "0 B"),
        (999, "short", "999"), (1500, "eps", "1.5 k events/s"), (3, "reqps", "3 req/s"),
        (1_370_836_800_000, "dateTimeAsIso", "2013-06-10 04:00"), (1e30, "dateTimeAsIso", "1" + "0" * 30), (float("nan"), "s", "undefined"),
        (float("inf"), "short", "∞"), (100, "none", "100"), (1, "parsec", "1 parsec"),
    ],
)  # fmt: skip
def test_values_are_shown_in_their_unit(value: float, unit: str, text: str) -> None:
    """Units as Grafana scales them."""
    assert show(value, unit).replace("1000000000000000019884624838656", "1" + "0" * 30) == text


def test_thresholds_colour_values() -> None:
    """A value has the colour of the last step that it has reached."""
    steps = (Step(None, "green"), Step(1, "yellow"), Step(10, "red"))
    assert [step_color(v, steps) for v in (-5, 1, 9.9, 10)] == [COLORS[c] for c in ("green", "yellow", "yellow", "red")]


def test_the_grid_becomes_bands_of_24_columns(boards: dict[str, Board]) -> None:
    """Every panel stands in exactly one band, in its width, beside those at the same height; bands are 24 wide."""
    for board in boards.values():
        for section in board.sections:
            found = bands(section.panels)
            assert sorted(p.title for band in found for c in band for p in c.panels) == sorted(p.title for p in section.panels)
            for band in found:
                assert sum(c.width for c in band) == 24
                assert all(c.width == p.grid.w for c in band for p in c.panels)


def test_panels_above_each_other_share_a_column(boards: dict[str, Board]) -> None:
    """Beside a high panel two low ones are stacked, and what is free is a gap."""
    panel = panel_of(boards, "Events")
    high, first, second = (replace(panel, grid=replace(panel.grid, x=x, y=y, w=8, h=h)) for x, y, h in ((0, 0, 8), (8, 0, 4), (8, 4, 4)))
    (band,) = bands([second, high, first])
    assert [(c.width, c.panels) for c in band] == [(8, (high,)), (8, (first, second)), (8, ())]


def test_a_limit_has_the_colour_of_its_line(boards: dict[str, Board]) -> None:
    """The threshold of a stream is dashed, stands under the stream's own name in the legend, and gaps break lines."""
    panel = panel_of(boards, "Share of drifted features")
    line, limit = series("m live", 0.1, 0.4, model="m"), series("m live threshold", 0.3, 0.3, ref="B", model="m")
    spec = charts.time_chart(panel, [line, limit], SPAN, [Mark(1_699_999_000_000.0, "drifted", "red")], 300)
    rows = spec["datasets"]["rows1"]
    assert {(r["name"], r["entry"], r["dashed"]) for r in rows} == {("m live", "m live", False), ("m live threshold", "m live", True)}
    assert [r["shown"] for r in rows if not r["dashed"]] == ["10 %", "40 %"]
    broken = replace(line, points=((0.0, 1.0), (60_000.0, 1.0)))
    values = [r["v"] for r in charts.time_chart(panel, [broken], SPAN, [], 300)["datasets"]["rows1"]]
    assert values == [1.0, None, 1.0]


def test_thresholds_out_of_reach_are_not_drawn(boards: dict[str, Board]) -> None:
    """A threshold far above every value would squeeze the lines; one within reach is drawn."""
    panel = panel_of(boards, "Consumer lag by partition")

    def drawn(value: float) -> list[object]:
        spec = charts.time_chart(panel, [series("p", value)], SPAN, [], 300)
        return [r["v"] for rows in spec["datasets"].values() for r in rows if r.get("name") == "threshold"]

    assert drawn(10) == []
    assert drawn(9_000) == [10_000.0]
    assert drawn(100_000) == [10_000.0, 100_000.0]


def test_bars_are_stacked(boards: dict[str, Board]) -> None:
    """Counts of the same time stand on each other."""
    spec = charts.time_chart(panel_of(boards, "Dead letters by reason"), [series("a", 1, 2), series("b", 3, 4)], SPAN, [], 300)
    assert [(r["name"], r["v"], r["top"]) for r in spec["datasets"]["rows1"]] == [("a", 0, 1), ("a", 0, 2), ("b", 1, 4), ("b", 2, 6)]


def test_equal_states_are_one_block(boards: dict[str, Board]) -> None:
    """A state timeline has one block for each run of the same state, with its word; a missing point ends a block."""
    panel = panel_of(boards, "Drifted columns over time")
    points = tuple((t * 10_000.0, v) for t, v in ((0, 0.0), (1, 0.0), (2, 1.0), (5, 1.0)))
    rows = charts.state_chart(panel, [replace(series("c", 0), points=points)], SPAN, 300)["datasets"]["rows1"]
    assert [(r["t"], r["until"], r["shown"]) for r in rows] == [
        (0, 20_000, "quiet"),
        (20_000, 30_000, "drifted"),
        (50_000, 60_000, "drifted"),
    ]


def test_undefined_values_are_left_out(boards: dict[str, Board]) -> None:
    """A quantile of nothing is no series; an infinite score is no cell of the heat map."""
    assert charts.drawable([series("p95", float("nan")), kept := series("p50", float("nan"), 1)]) == [kept]
    spec = charts.heat_chart(panel_of(boards, "Drift scores relative to their thresholds"), [series("c", float("inf"), 0.5)], SPAN, 300)
    assert [r["v"] for r in spec["datasets"]["rows1"]] == [0.5]


def test_names_are_text(boards: dict[str, Board]) -> None:
    """A hostile name is escaped in tiles, bars and tables."""
    tile = blocks.tiles(panel_of(boards, "Windows closed"), [series(HOSTILE, 3)])
    bar = blocks.ranking(panel_of(boards, "Columns that drift most"), [series(HOSTILE, 3)])
    table = blocks.table(panel_of(boards, "Performance against the reference"), [series("", 3, measure=HOSTILE)], {})
    for html in (tile, bar, table):
        assert "<img" not in html
        assert "&lt;img" in html


def test_words_and_missing_values(boards: dict[str, Board]) -> None:
    """A worker that is down is said in a word and in red; without any worker the panel says so."""
    panel = panel_of(boards, "Workers")
    assert f'border-color:{COLORS["red"]}"><b>down' in blocks.tiles(panel, [series("w", 0)])
    assert "no worker" in blocks.tiles(panel, [])


def test_the_table_links_to_the_report(boards: dict[str, Board]) -> None:
    """One row a stream: share in percent, start as a link to the report, labels escaped in the address; other schemes are no links."""
    panel = panel_of(boards, "Report of the last drifted window")
    labels = {"model": "a/b", "run_kind": "live"}
    found = [series("", v, ref=r, **labels) for r, v in (("A", 0.5), ("B", 1_370_836_800.0), ("C", 1_370_836_800_000.0))]
    html = blocks.table(panel, found, {"public_url": "http://127.0.0.1:8502/"})
    assert 'href="http://127.0.0.1:8502/reports/a%2Fb/live/window/1370836800"' in html
    assert "50 %" in html
    assert "2013-06-10 04:00" in html
    assert "href" not in blocks.table(panel, found, {"public_url": "javascript:alert(1)//"})


def test_prometheus_that_does_not_answer() -> None:
    """The error names the address and what to do."""
    (port,) = free_ports(1)
    with pytest.raises(ServiceUnavailable, match=rf"127\.0\.0\.1:{port} does not answer[\s\S]*make up"):
        Prometheus(f"http://127.0.0.1:{port}").options("label_values(up, job)", {}, SPAN)


def test_the_console_asks_its_own_prometheus_and_tells_nobody() -> None:
    """Without a setting it is that of this installation; statistics are off and the address is ours."""
    settings = Settings(_env_file=None, bind="0.0.0.0", prometheus_port=29090, console_port=28501)
    assert prometheus_address(settings) == "http://127.0.0.1:29090"
    assert prometheus_address(Settings(_env_file=None, prometheus_url="http://p:9/")) == "http://p:9"
    found = options(settings)
    assert (found["server.address"], found["server.port"], found["server.headless"]) == ("0.0.0.0", 28501, True)
    assert found["browser.gatherUsageStats"] is False
