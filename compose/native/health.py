"""Whether a service answers."""

from __future__ import annotations

import requests

from compose.native import kafka
from compose.services import Service
from config.settings import Settings


def healthy(service: Service, settings: Settings, timeout_s: float = 1.0) -> bool:
    """True when the service answers its readiness question; always for a program that listens on nothing."""
    if not service.port_setting:
        return True
    if not service.ready_path:
        return kafka.answers(service.address(settings), timeout_s)
    try:
        answer = requests.get(f"http://{service.address(settings)}{service.ready_path}", timeout=timeout_s, stream=True)
    except requests.RequestException:
        return False
    answer.close()
    return answer.status_code < 400
