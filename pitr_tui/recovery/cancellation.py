"""How a run is asked to stop."""

from __future__ import annotations

import threading


class Cancellation(threading.Event):
    """Set, it stops a run. With `keeps` a whole copy is left: nobody said that it should go."""

    keeps = False
