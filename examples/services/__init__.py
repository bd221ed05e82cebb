"""Small services that emit their predictions: ASGI (Starlette, FastAPI), WSGI (Flask), a plain call, and a bare BentoML service to wrap."""
