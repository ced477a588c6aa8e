"""An ordinary user's view of the file system, also where the tests run as root."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

_NOBODY = 65534

# A property holds or it does not: how long an example takes on a busy machine is no part of it.
settings.register_profile("pitr", deadline=None)
settings.load_profile("pitr")


@pytest.fixture
def closable(tmp_path: Path) -> Iterator[Path]:
    """A directory in which a mode of 0 closes a door: root steps down for the test."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    place = Path(tempfile.mkdtemp(prefix="pitr-test-"))
    os.chown(place, _NOBODY, _NOBODY)
    os.seteuid(_NOBODY)
    try:
        yield place
    finally:
        os.seteuid(0)
        shutil.rmtree(place)
