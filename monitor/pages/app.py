"""The routes of the page server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from config.settings import Settings
from monitor.pages.inbox import MAX_BODY_BYTES, Inbox, RefusedPayload, check
from monitor.pages.mrkdwn import safe_colour, safe_link, to_html
from monitor.pages.runbooks import Runbooks
from monitor.reports.page import utc
from monitor.reports.paths import newest_of_window, summaries

# Nothing is loaded from elsewhere. Evidently's page is one file of inline scripts, and Plotly in it builds functions from text.
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
_REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)
_PART = re.compile(r"(?!\.+\Z)[A-Za-z0-9_.~-]{1,200}\Z")  # ids as paths.py writes them as folders
REPORTS_SHOWN = 300


def _headers(policy: str) -> dict[str, str]:
    """A page changes under its address (a report in the making, the inbox), so it is never cached."""
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


class Pages:
    """The page server of one installation: inbox and reports below ``TIDEMARK_HOME``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reports = settings.under_home("reports")
        self._inbox = Inbox(settings.under_home("inbox", "messages.jsonl"))
        self._runbooks = Runbooks(settings.runbooks_dir)
        loader = FileSystemLoader(Path(__file__).parent / "templates")
        self._templates = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
        self._templates.filters.update(utc=utc, mrkdwn=to_html, safe_link=safe_link, safe_colour=safe_colour)

    def _page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        html = self._templates.get_template(template).render(now=datetime.now(UTC), **values)
        return HTMLResponse(html, status_code=status, headers=_headers(_PAGE_POLICY))

    def inbox(self, request: Request) -> Response:
        """The messages as Slack shows them, newest first."""
        return self._page("inbox.html", messages=self._inbox.latest(), to_slack=self._settings.slack_webhook_file is not None)

    async def slack(self, request: Request) -> Response:
        """An incoming webhook: 200 ``ok`` or Slack's refusal. Only JSON, which a foreign page in a browser cannot post here."""
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            return PlainTextResponse("invalid_payload", 400)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                return PlainTextResponse("payload_too_large", 413)
        try:
            payload = await run_in_threadpool(check, body)
        except RefusedPayload as refusal:
            return PlainTextResponse(str(refusal), 400)
        await run_in_threadpool(self._inbox.add, payload, datetime.now(UTC))
        return PlainTextResponse("ok")

    def reports(self, request: Request) -> Response:
        """The list of reports."""
        found = [(self._address(path), summary) for path, summary in summaries(self._reports, REPORTS_SHOWN)]
        return self._page("reports.html", reports=found)

    def report(self, request: Request) -> Response:
        """``…/window/{start_s}``: on to that window's newest report; otherwise the report file itself."""
        model, run_kind, run, name = (request.path_params[k] for k in ("model", "run_kind", "run", "name"))
        if not all(_PART.match(part) for part in (model, run_kind, run, name)):
            return self.missing(request)
        if run == "window" and re.fullmatch(r"-?\d{1,12}", name):
            path = newest_of_window(self._reports, model, run_kind, int(name)) if run_kind in ("live", "replay") else None
            return RedirectResponse(self._address(path), headers=_headers(_PAGE_POLICY)) if path else self.missing(request)
        root = self._reports.resolve()
        path = (root / model / run_kind / run / name).resolve()
        if not path.is_relative_to(root) or path.suffix != ".html" or not path.is_file():
            return self.missing(request)
        return FileResponse(path, media_type="text/html", headers=_headers(_REPORT_POLICY))

    def runbooks(self, request: Request) -> Response:
        """The list of runbooks."""
        return self._page("runbook.html", names=self._runbooks.names())

    def runbook(self, request: Request) -> Response:
        """One runbook."""
        name = request.path_params["name"]
        text = self._runbooks.html(name)
        return self.missing(request) if text is None else self._page("runbook.html", name=name, text=text)

    def dashboard(self, request: Request) -> Response:
        """On to the dashboard, with the model and run kind that the link names chosen there (as Grafana and the Live page read them)."""
        chosen = {f"var-{k}": request.query_params[k] for k in ("model", "run_kind") if request.query_params.get(k)}
        address = self._settings.dashboard_url
        if chosen:
            address += ("&" if "?" in address else "?") + urlencode(chosen)
        return RedirectResponse(address, headers=_headers(_PAGE_POLICY))

    def missing(self, request: Request) -> Response:
        """A page that says so; it looks again by itself, since a report may be on its way."""
        return self._page("missing.html", 404, waits="/window/" in request.url.path)

    def _address(self, path: Path) -> str:
        return "/reports/" + "/".join(quote(part, safe="") for part in path.relative_to(self._reports).parts)

    def routes(self) -> Sequence[Route]:
        """Every route."""
        return [
            Route("/", self.inbox),
            Route("/slack", self.slack, methods=["POST"]),
            Route("/reports/", self.reports),
            Route("/reports/{model}/{run_kind}/{run}/{name}", self.report),
            Route("/runbooks/", self.runbooks),
            Route("/runbooks/{name}", self.runbook),
            Route("/dashboard", self.dashboard),
            Route("/healthz", lambda request: PlainTextResponse("ok")),
        ]


def create_app(settings: Settings) -> Starlette:
    """The page server as an ASGI application."""
    pages = Pages(settings)

    async def not_found(request: Request, error: Exception) -> Response:
        return pages.missing(request)

    return Starlette(routes=list(pages.routes()), exception_handlers={404: not_found})
