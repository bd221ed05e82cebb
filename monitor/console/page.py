"""The Live page, run by Streamlit for each browser: ``tidemark console`` starts it. It draws; all that needs no browser is elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from config.errors import ServiceUnavailable, TidemarkError
from config.settings import load_settings
from monitor.console import blocks, charts
from monitor.console.board import Board, Panel, Variable, read_boards, scrape_interval_s
from monitor.console.layout import bands, height_px
from monitor.console.prometheus import Answer, Mark, Prometheus, QueryError, Series
from monitor.console.query import ALL, Span, chosen
from monitor.console.serve import prometheus_address

SPANS = {"5 minutes": 300, "15 minutes": 900, "30 minutes": 1800, "1 hour": 3600, "6 hours": 21600, "24 hours": 86400, "7 days": 604_800}
REFRESHES = {"off": None, "every 5 s": 5, "every 10 s": 10, "every 30 s": 30, "every minute": 60}
Choices = dict[str, list[str]]


def _parameter(name: str) -> list[str]:
    """What the address says of a variable, as Grafana's do: ``?var-model=flights``."""
    return [v for v in st.query_params.get_all(f"var-{name}") if v not in {"$__all", "All"}]


def _options(prometheus: Prometheus, board: Board, texts: dict[str, str], span: Span) -> Choices:
    return {v.name: prometheus.options(v.query, texts, span) for v in board.variables if v.query}


def _choose(variable: Variable, board: Board, options: Sequence[str]) -> str:
    """Draw one variable's choice; its text for expressions."""
    key, wanted = f"{board.uid}-{variable.name}", _parameter(variable.name)
    if not variable.query:
        first = wanted[0] if wanted else load_settings().public_url if variable.name == "public_url" else variable.default
        return st.text_input(variable.label, first, key=key, help=variable.description)
    if variable.many:
        kept = [v for v in st.session_state.get(key, wanted) if v in options]
        st.session_state[key] = kept
        return chosen(st.multiselect(variable.label, options, key=key, placeholder="All", help=variable.description))
    if st.session_state.get(key) not in options:
        st.session_state[key] = next((v for v in wanted if v in options), options[0] if options else None)
    value = st.selectbox(variable.label, options, key=key, placeholder="none yet", help=variable.description)
    return chosen([value]) if value is not None else ALL


def _controls(board: Board, options: Choices) -> tuple[dict[str, str], int, int | None]:
    """Draw the row of choices; texts of the variables, span in s, refresh in s."""
    columns = st.columns(len(board.variables) + 2, vertical_alignment="bottom")
    texts = {}
    for variable, column in zip(board.variables, columns, strict=False):
        with column:
            texts[variable.name] = _choose(variable, board, options.get(variable.name, []))
    with columns[-2]:
        first = list(SPANS.values()).index(board.span_s)
        length = SPANS[st.selectbox("Time", SPANS, index=first, key="time", help="How far back from now; the clock is this browser's")]
    with columns[-1]:
        first = list(REFRESHES.values()).index(board.refresh_s)
        refresh = REFRESHES[st.selectbox("Refresh", REFRESHES, index=first, key="refresh", help="How often everything is asked anew")]
    return texts, length, refresh


def _known_texts(board: Board) -> dict[str, str]:
    """The choices of the last run: options of one variable depend on another."""
    texts = {}
    for variable in board.variables:
        value = st.session_state.get(f"{board.uid}-{variable.name}", _parameter(variable.name))
        texts[variable.name] = (
            value if not variable.query and isinstance(value, str) else chosen([value] if isinstance(value, str) else value or [])
        )
    return texts


def draw_board(board: Board) -> None:
    """One dashboard, anew at each refresh."""
    prometheus, scrape_s = Prometheus(prometheus_address(load_settings())), scrape_interval_s()
    st.html(blocks.STYLE)
    length = SPANS.get(st.session_state.get("time", ""), board.span_s)
    try:
        options = _options(prometheus, board, _known_texts(board), Span(time.time(), length, scrape_s))
        failure = ""
    except (ServiceUnavailable, QueryError) as error:
        options, failure = {}, str(error)
    texts, length, refresh = _controls(board, options)

    @st.fragment(run_every=refresh)
    def panels() -> None:
        span = Span(time.time(), length, scrape_s)
        try:
            now = _options(prometheus, board, texts, span)
            answers = prometheus.answers([p for s in board.sections for p in s.panels], texts, span)
            marks = prometheus.marks(board.annotations, texts, span)
        except (ServiceUnavailable, QueryError) as error:
            st.error(f"{error}", icon=":material/cloud_off:")
            return
        if failure or now != options:  # a new model, or Prometheus is back: the choices above have to be drawn anew
            st.rerun(scope="app")
        _sections(board, answers, marks, texts, span)

    panels()


def _sections(board: Board, answers: Sequence[Answer], marks: Sequence[Mark], texts: dict[str, str], span: Span) -> None:
    left = iter(answers)
    for section in board.sections:
        found = {panel.title: next(left) for panel in section.panels}
        if section.title:
            st.markdown(f"#### {section.title}")
        for band in bands(section.panels):
            for column, place in zip(band, st.columns([c.width for c in band], gap="small", wrap=True), strict=True):
                with place:
                    for panel in column.panels:
                        _panel(panel, found[panel.title], marks, texts, span)


def _panel(panel: Panel, answer: Answer, marks: Sequence[Mark], texts: dict[str, str], span: Span) -> None:
    height = height_px(panel)
    with st.container(border=True, height="content" if panel.kind == "stat" else height + 60):
        st.markdown(f"**{panel.title}**", help=panel.description)
        if answer.error:
            st.error(answer.error)
        elif panel.kind in {"stat", "bargauge", "table"}:
            st.html(_block(panel, answer.series, texts))
        elif not (series := charts.drawable(answer.series)):
            st.html(blocks.nothing(panel))
        else:
            st.vega_lite_chart(_chart(panel, series, marks, span, height), width="stretch", key=f"chart {panel.title}")


def _block(panel: Panel, series: Sequence[Series], texts: dict[str, str]) -> str:
    if panel.kind == "stat":
        return blocks.tiles(panel, series)
    return blocks.ranking(panel, series) if panel.kind == "bargauge" else blocks.table(panel, series, texts)


def _chart(panel: Panel, series: Sequence[Series], marks: Sequence[Mark], span: Span, height: int) -> charts.Spec:
    if panel.kind == "heatmap":
        return charts.heat_chart(panel, series, span, height)
    if panel.kind == "state-timeline":
        return charts.state_chart(panel, series, span, height)
    return charts.time_chart(panel, series, span, marks, height)


def _open_board(boards: dict[str, Board]) -> Board:
    """Draw the choice of dashboard; the address keeps it (``?board=tidemark-model``), so that a page can be linked to."""
    # No pages of Streamlit's own: below a path of theirs the browser asks for things that are not there, and says so in its console.
    asked = st.query_params.get("board", "")
    first = asked if asked in boards else next(iter(boards))
    titles = {uid: board.title.capitalize() for uid, board in boards.items()}
    name, choice = st.columns([1, 3], vertical_alignment="center")
    name.markdown("### Tidemark live")
    uid = choice.segmented_control(
        "Dashboard", list(boards), default=first, format_func=lambda u: titles[u], key="board", label_visibility="collapsed"
    )
    st.query_params["board"] = uid or first
    return boards[uid or first]


def main() -> None:
    """The page: one dashboard at a time."""
    st.set_page_config(page_title="Tidemark live", layout="wide")
    try:
        boards = read_boards()
    except TidemarkError as error:
        st.error(str(error))
        return
    board = _open_board(boards)
    st.caption(board.description.removesuffix(" Built by config/grafana/build.py."))
    draw_board(board)


if __name__ == "__main__":
    main()
