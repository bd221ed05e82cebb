"""Slack's text as safe HTML: its links and, where they apply, its bold, code and strike; everything else is text."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_CONTROL = re.compile(r"<([^<>]*)>")
_STYLES = (
    (re.compile(r"`([^`\n]+)`"), "code"),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), "b"),
    (re.compile(r"(?<![\w~])~(?=\S)([^~\n]+?)(?<=\S)~(?![\w~])"), "s"),
)


def _text(text: str, styled: bool) -> Markup:
    """Text between control sequences: Slack's three entities are undone, then everything is escaped for HTML."""
    plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    html = str(escape(plain))
    if not styled:
        return Markup(html)  # escaped above
    for pattern, tag in _STYLES:
        html = pattern.sub(rf"<{tag}>\1</{tag}>", html)
    return Markup(html)  # escaped above; only our own tags are added


def _control(inside: str) -> Markup:
    """``<https://…|label>`` becomes a link; any other control sequence (``<!channel>``, ``<@U1>``) is shown as it was written."""
    address, _, label = inside.partition("|")
    if not re.match(r"https?://[^\s\"']+\Z", address):
        return escape(f"<{inside}>")
    address = address.replace("&amp;", "&")
    return Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(address, _text(label or address, False))


def to_html(text: str, styled: bool = True) -> Markup:
    """Slack's mrkdwn as HTML. ``styled`` is False for parts that ``mrkdwn_in`` does not name: there only links are special."""
    out, position = Markup(), 0
    for match in _CONTROL.finditer(text):
        out += _text(text[position : match.start()], styled) + _control(match[1])
        position = match.end()
    return out + _text(text[position:], styled)


def safe_link(address: object) -> str:
    """The address when it is http(s), else nothing."""
    return address if isinstance(address, str) and re.match(r"https?://[^\s\"']+\Z", address) else ""


def safe_colour(colour: object) -> str:
    """The colour of an attachment's bar: Slack's three words or a hex colour, grey for anything else."""
    words = {"good": "#2eb886", "warning": "#daa038", "danger": "#a30200"}
    if isinstance(colour, str):
        return words.get(colour) or (colour if re.match(r"#[0-9A-Fa-f]{3,8}\Z", colour) else "#dddddd")
    return "#dddddd"
