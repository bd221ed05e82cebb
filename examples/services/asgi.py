"""An ASGI service: ``uvicorn examples.services.asgi:app``. The handlers know nothing of Tidemark; the one line is the middleware.

FastAPI is Starlette underneath and takes it the same way: ``app.add_middleware(ASGIMiddleware, observer=…)``. The second route speaks the
Open Inference Protocol (V2), as MLServer, Triton and KServe do.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from config.settings import load_settings
from examples.services.delays import Delays, open_emitter
from producers.emitter import ASGIMiddleware, Observer

settings = load_settings()
delays = Delays(settings)


async def predict(request: Request) -> JSONResponse:
    """``{"rows": [{…}, …]}`` in, ``{"predictions": […]}`` out."""
    rows = (await request.json())["rows"]
    return JSONResponse({"predictions": await run_in_threadpool(delays.predict, rows)})


async def infer(request: Request) -> JSONResponse:
    """V2: a tensor a column in, the tensor ``predict`` out."""
    tensors = (await request.json())["inputs"]
    found = await run_in_threadpool(delays.predict_matrix, {t["name"]: t["data"] for t in tensors})
    output = {"name": "predict", "shape": [len(found)], "datatype": "FP64", "data": found}
    return JSONResponse({"model_name": "flights", "model_version": delays.version, "outputs": [output]})


observer = Observer(open_emitter(settings, delays.version), paths=["/predict", "/v2/models/flights/infer"])
app = Starlette(
    routes=[Route("/predict", predict, methods=["POST"]), Route("/v2/models/flights/infer", infer, methods=["POST"])],
    middleware=[Middleware(ASGIMiddleware, observer=observer, flush_path="/tidemark/flush")],
)
