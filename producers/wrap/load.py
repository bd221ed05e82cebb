"""Finds the BentoML service that is to be wrapped."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from config.errors import UsageError


def load_service(where: str) -> Any:
    """The service of ``module:name``, its module found from the working directory on.

    Raises:
        UsageError: there is no such module or name, or it is no BentoML service.
    """
    module_name, _, name = where.partition(":")
    if not name:
        raise UsageError(f"{where!r} is not MODULE:SERVICE", "write for example service:FlightDelay")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        service = getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise UsageError(f"module {error.name!r} is not found from {here}", "start in the folder where `bentoml serve` works") from error
    except AttributeError as error:
        raise UsageError(f"module {module_name!r} has no {name!r}", "name the class that has @bentoml.service") from error
    if not hasattr(service, "add_asgi_middleware"):
        raise UsageError(f"{where} is {type(service).__name__}, not a BentoML service", "name the class that has @bentoml.service")
    return service
