"""Ends with 0 when an address answers below 400: the healthcheck of our containers, whose image has no curl.

``python -m compose.docker.healthcheck http://127.0.0.1:9108/metrics``
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

TIMEOUT_S = 4.0


def answers(url: str, timeout_s: float = TIMEOUT_S) -> bool:
    """True when a GET of ``url`` is answered with a status below 400 (redirects are followed) within ``timeout_s``."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s):
            return True
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1]) else 1)
