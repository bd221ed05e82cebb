"""The page server: Slack's side of a webhook, the inbox, and reports served from their folder only."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from config.errors import ServiceUnavailable
from config.settings import Settings
from monitor.pages.app import create_app
from monitor.pages.inbox import Inbox
from monitor.pages.mrkdwn import safe_colour, safe_link, to_html
from monitor.pages.server import _listen, serve_pages
from monitor.reports.paths import Summary, path_of, write_report
from tests.support.results import HOSTILE, judged_column, window_result

SLACK_ESCAPED = HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Page(HTMLParser):
    """A page's text, links and tags as a browser sees them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.links, self.tags = "", [], []  # type: str, list[str], list[str]
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An installation's home."""
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> TestClient:
    """A client of the page server."""
    return TestClient(create_app(Settings(home=home)), follow_redirects=False)


def message(**attachment: Any) -> dict[str, Any]:
    """A webhook payload as Alertmanager sends it."""
    base = {
        "title": "Data drift",
        "title_link": "http://127.0.0.1:8502/reports/",
        "text": "a < b",
        "color": "#c62828",
        "mrkdwn_in": ["pretext"],
    }
    return {"channel": "#monitoring", "username": "alertmanager", "attachments": [base | attachment]}


def test_a_message_is_kept_and_shown(client: TestClient) -> None:
    """A posted message answers ok, as Slack does, and stands in the inbox with its colour and link; the newest is first."""
    assert (client.post("/slack", json=message(title="first")).text, client.post("/slack", json=message(title="second")).text) == (
        "ok",
        "ok",
    )
    html = client.get("/").text
    page = Page(html)
    assert page.text.index("second") < page.text.index("first")
    assert "http://127.0.0.1:8502/reports/" in page.links
    assert "border-color: #c62828" in html


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        ([], "invalid_payload"),
        ({}, "no_text"),
        ({"text": 5}, "invalid_payload"),
        ({"text": "x", "attachments": "y"}, "invalid_payload"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"attachments": [{"text": "x" * 40_001}]}, "msg_too_long"),
        ({"text": "x", "attachments": [{"text": "y"}] * 101}, "too_many_attachments"),
        ({"text": "x", "blocks": [{}] * 51}, "invalid_blocks"),
    ],
)
def test_what_slack_refuses_is_refused(client: TestClient, home: Path, payload: Any, word: str) -> None:
    """A payload past Slack's limits is a 400 with Slack's word, and nothing is kept."""
    answer = client.post("/slack", json=payload)
    assert (answer.status_code, answer.text) == (400, word)
    assert not (home / "inbox").exists()


def test_only_json_of_bounded_size_is_taken(client: TestClient) -> None:
    """Broken JSON, a form (which any web page can post to a local address) and a huge body are refused."""
    headers = {"content-type": "application/json"}
    assert client.post("/slack", content=b"{", headers=headers).status_code == 400
    assert client.post("/slack", content=b"[" * 200_000, headers=headers).status_code == 400
    assert client.post("/slack", content=json.dumps(message()), headers={"content-type": "text/plain"}).status_code == 400
    assert client.post("/slack", content=b" " * 1_000_001, headers=headers).status_code == 413


def test_odd_payloads_do_not_break_the_inbox(client: TestClient) -> None:
    """Whatever an accepted payload holds, the inbox still opens and runs nothing."""
    odd = [
        {"text": "x", "username": {"a": 1}},
        {
            "text": "x",
            "username": HOSTILE,
            "attachments": [{"fields": [{"title": None, "value": 3}, {}], "color": 7, "mrkdwn_in": 5, "text": 9}],
        },
        {
            "attachments": [
                {"title": "t", "title_link": "javascript:alert(1)", "color": "red;background:url(//x)", "fields": "f", "mrkdwn_in": None}
            ]
        },
        {"blocks": [{}]},
    ]
    for payload in odd:
        assert client.post("/slack", json=payload).text == "ok"
    answer = client.get("/")
    assert answer.status_code == 200
    page = Page(answer.text)
    assert not {"script", "img"} & set(page.tags)
    assert all(link.startswith(("/", "http://", "https://")) for link in page.links)
    assert "url(//x)" not in answer.text


def test_hostile_names_are_literal_text(client: TestClient) -> None:
    """A column name of a message is shown exactly as it is: no mention, no link, no bold, no markup."""
    client.post("/slack", json=message(text=f"{SLACK_ESCAPED}: 0.5\n<http://127.0.0.1/r|Report>"))
    page = Page(client.get("/").text)
    assert f"{HOSTILE}: 0.5\nReport" in page.text
    assert "https://evil" not in page.links
    assert page.tags.count("b") == Page(client.get("/reports/").text).tags.count("b") + 1  # the sender's name
    assert not {"img", "script"} & set(page.tags)
    assert "http://127.0.0.1/r" in page.links


def test_mrkdwn() -> None:
    """Links and, where styled, bold, strike and code become HTML; a mention is shown as written; other schemes are no links."""
    assert to_html("*b* ~s~ `c<` <https://x.y/?a=1&amp;b=2|*l*>".replace("c<", "c&lt;")) == (
        '<b>b</b> <s>s</s> <code>c&lt;</code> <a href="https://x.y/?a=1&amp;b=2" rel="noopener noreferrer">*l*</a>'
    )
    assert to_html("*b* `c`", styled=False) == "*b* `c`"
    assert to_html("2*3*4 and a_b_c") == "2*3*4 and a_b_c"
    assert to_html("<!channel> <javascript:alert(1)|x> &amp;lt;") == "&lt;!channel&gt; &lt;javascript:alert(1)|x&gt; &amp;lt;"
    assert to_html('<https://x" onclick="y|l>') == "&lt;https://x&#34; onclick=&#34;y|l&gt;"
    assert safe_link("https://a.b/c") == "https://a.b/c"
    assert safe_link("data:text/html,x") == safe_link(None) == ""
    assert (safe_colour("danger"), safe_colour("#FFF"), safe_colour("x")) == ("#a30200", "#FFF", "#dddddd")


def test_the_inbox_is_bounded_and_survives_a_torn_line(tmp_path: Path) -> None:
    """The latest messages are kept; a line cut short by a crash loses itself alone."""
    inbox = Inbox(tmp_path / "m.jsonl", keep=10)
    when = datetime(2013, 6, 24, tzinfo=UTC)
    for i in range(30):
        inbox.add({"text": str(i)}, when)
    with (tmp_path / "m.jsonl").open("a") as file:
        file.write('{"received_at": "2013')
    inbox.add({"text": "after"}, when)
    texts = [m.payload["text"] for m in inbox.latest()]
    assert texts[:3] == ["after", "29", "28"]
    assert len((tmp_path / "m.jsonl").read_text().splitlines()) <= 14


def _report(home: Path, run: str, html: str) -> Path:
    result = window_result(judged_column(HOSTILE, 0.5), run_kind="replay", run=run)
    path = path_of(home / "reports", "m", "replay", run, result.start_ms, result.end_ms)
    write_report(path, html, Summary.of(result, "full"))
    return path


def test_a_windows_address_leads_to_its_report(client: TestClient, home: Path) -> None:
    """The address in an alert redirects to the newest run's report, which opens and may load nothing from elsewhere."""
    _report(home, "..", "<p>the report</p>")
    answer = client.get("/reports/m/replay/window/1000")
    assert answer.status_code == 307
    report = client.get(answer.headers["location"])
    assert report.text == "<p>the report</p>"
    assert report.headers["content-security-policy"].startswith("default-src 'none'")
    assert report.headers["cache-control"] == "no-store"


def test_the_list_shows_reports_with_names_as_text(client: TestClient, home: Path) -> None:
    """The list links each report and shows hostile column names literally."""
    _report(home, "r1", "x")
    page = Page(client.get("/reports/").text)
    assert "/reports/m/replay/r1/1000-1600.html" in page.links
    assert HOSTILE in page.text
    assert "img" not in page.tags


@pytest.mark.parametrize(
    "address",
    [
        "/reports/m/replay/window/999",
        "/reports/../replay/window/1000",
        "/reports/m/nonsense/window/1000",
        "/reports/%2e%2e/inbox/%2e/messages.jsonl",
        "/reports/%2e%2e/%2e%2e/%2e%2e/secret.html",
        "/reports/m/replay/r1/..%2f..%2f..%2f..%2fsecret.html",
        "/reports/m/replay/r1/1000-1600.json",
        "/reports/m/replay/r1/link.html",
        "/reports/m/replay/r1/none.html",
        pytest.param("/reports/m/replay/r1/%00.html", id="nul"),
        pytest.param("/reports/" + "m" * 5000 + "/replay/r1/1000-1600.html", id="long"),
        "/nonsense",
    ],
)
def test_nothing_but_reports_is_served(client: TestClient, home: Path, tmp_path: Path, address: str) -> None:
    """Traversal, links out of the folder, other files and unknown windows are all a plain 404 page."""
    folder = _report(home, "r1", "x").parent
    (tmp_path / "secret.html").write_text("secret")
    (folder / "link.html").symlink_to(tmp_path / "secret.html")
    answer = client.get(address)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_health(client: TestClient) -> None:
    """The health address answers ok."""
    assert client.get("/healthz").text == "ok"


def test_a_taken_port_is_one_clear_error(home: Path) -> None:
    """The server names the taken port and its setting."""
    with _listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ServiceUnavailable, match=rf"port {port} .* is taken[^$]*TIDEMARK_PAGES_PORT"):
            serve_pages(Settings(home=home, pages_port=port))


def test_runbooks_are_pages(client: TestClient) -> None:
    """An alert's runbook is readable HTML that links others here; all are listed; what is no runbook is a 404, whatever the path holds."""
    found = client.get("/runbooks/TidemarkDatasetDrift")
    page = Page(found.text)
    assert found.status_code == 200
    assert "script-src" not in found.headers["content-security-policy"]
    assert {"article", "h1", "h2", "li", "code"} <= set(page.tags)
    assert "In the last judged window of a model" in page.text
    assert "/runbooks/TidemarkWorkerDown" in page.links
    listed = Page(client.get("/runbooks/").text).links
    assert all(client.get(link).status_code == 200 for link in listed if link.startswith("/runbooks/"))
    assert sum(link.startswith("/runbooks/T") for link in listed) > 10
    for path in ("/runbooks/Nothing", "/runbooks/..%2falerts", "/runbooks/%2e%2e", "/runbooks/TidemarkDatasetDrift.md"):
        assert client.get(path).status_code == 404


def test_a_runbook_cannot_bring_html(tmp_path: Path) -> None:
    """HTML in a runbook is text, and a link that runs script is none."""
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "X.md").write_text("# X\n\n<img src=x onerror=alert(1)> [a](javascript:alert(1))\n")
    client = TestClient(create_app(Settings(home=tmp_path, runbooks_dir=tmp_path / "books")))
    page = Page(client.get("/runbooks/X").text)
    assert "img" not in page.tags
    assert not [link for link in page.links if link.startswith("javascript")]
    assert "<img src=x" in page.text


def test_the_dashboard_is_one_step_away(home: Path) -> None:
    """A message's link leads on to the configured dashboard with model and run kind chosen; nothing else of the query goes along."""
    to = "http://127.0.0.1:3000/d/tidemark-overview?orgId=1"
    client = TestClient(create_app(Settings(home=home, dashboard_url=to)), follow_redirects=False)
    found = client.get("/dashboard", params={"model": "m&x=1", "run_kind": "live", "other": "y"})
    assert (found.status_code, found.headers["location"]) == (307, f"{to}&var-model=m%26x%3D1&var-run_kind=live")
    assert client.get("/dashboard").headers["location"] == to
    default = TestClient(create_app(Settings(_env_file=None, home=home, console_port=8511)), follow_redirects=False)
    assert default.get("/dashboard", params={"model": "m"}).headers["location"] == "http://127.0.0.1:8511/?var-model=m"
