"""The Docker SDK, which is imported when an engine is first asked for: that takes a while."""

from __future__ import annotations

import importlib
import threading

_MODULES = ("requests.adapters", "requests.exceptions", "docker", "docker.context")
_lock = threading.Lock()


def load_sdk() -> None:
    """Import the SDK and its HTTP library, by one thread only.

    Python lets threads that import the modules of one circle at once see them half made.
    """
    with _lock:
        for name in _MODULES:
            importlib.import_module(name)
