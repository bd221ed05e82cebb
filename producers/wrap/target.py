"""What BentoML serves for ``tidemark wrap``: the user's own service, with the emitter's middleware around it."""

from __future__ import annotations

from typing import Any

from config.settings import load_settings
from producers.emitter import ASGIMiddleware, Observer
from producers.wrap.load import load_service
from producers.wrap.options import FLUSH_PATH, WrapOptions, open_emitter


class Wrapped(ASGIMiddleware):
    """The middleware of one worker process, with an emitter of its own."""

    def __init__(self, app: Any, options: WrapOptions) -> None:
        emitter = open_emitter(options, load_settings())
        observer = Observer(emitter, paths=options.paths or None, trust_headers=options.trust_headers)
        super().__init__(app, observer, FLUSH_PATH, close=True)


_options = WrapOptions.from_environment()
service = load_service(_options.service)
service.add_asgi_middleware(Wrapped, options=_options)
