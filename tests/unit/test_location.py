"""Places as a person writes them: behind an engine, on this machine, or nowhere."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.errors import UsageError
from pitr_tui.storage.location import EngineLocation, LocationKind, engine_location

VOLUME, ENGINE = LocationKind.VOLUME, LocationKind.ENGINE


@pytest.mark.parametrize(
    ("text", "kind", "root", "path", "shown"),
    [
        ("volume:shop", VOLUME, "shop", "", "volume:shop"),
        ("volume:shop/", VOLUME, "shop", "", "volume:shop"),
        ("volume:shop_1.a-b/base/2026", VOLUME, "shop_1.a-b", "base/2026", None),
        ("volume:shop/a//b/./c/", VOLUME, "shop", "a/b/c", "volume:shop/a/b/c"),
        ("volume:shop/a b:c/..d", VOLUME, "shop", "a b:c/..d", None),
        ("engine:/srv/wal", ENGINE, "/srv/wal", "", None),
        ("engine:/srv//wal/", ENGINE, "/srv/wal", "", "engine:/srv/wal"),
        ("engine:/", ENGINE, "/", "", None),
        ("engine:/srv/a:b", ENGINE, "/srv/a:b", "", None),
    ],
)
def test_a_place_behind_an_engine(
    text: str, kind: LocationKind, root: str, path: str, shown: str | None
) -> None:
    place = engine_location(text)
    assert place == EngineLocation(kind, root, PurePosixPath(path))
    assert str(place) == (shown or text)


@pytest.mark.parametrize(
    "text", ["", "/srv/wal", "wal", "volume", "volumes:shop", "Volume:shop", "C:/wal", " volume:x"]
)
def test_a_path_of_this_machine_is_none_of_an_engine(text: str) -> None:
    assert engine_location(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *("volume:", "volume:/", "volume:/srv", "volume:.hidden", "volume:-x", "volume:a b"),
        *("volume:shop//etc", "volume:..", "volume:shop/..", "volume:shop/a/../../b"),
        *("volume:shop\n", "volume:sh\0op", "volume:shöp", "volume:a:b"),
    ],
)
def test_a_volume_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not name a volume") as told:
        engine_location(text)
    assert "volume:NAME" in told.value.hint


@pytest.mark.parametrize(
    "text",
    ["engine:", "engine:srv", "engine:./srv", "engine:/srv/../etc", "engine:/..", "engine: /"],
)
def test_a_directory_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not name a directory of the engine") as told:
        engine_location(text)
    assert "engine:/an/absolute/path" in told.value.hint


@given(st.sampled_from(["volume:", "engine:"]), st.text(alphabet="ab./:- \n"))
def test_what_is_read_is_written_as_the_same_place(kind: str, rest: str) -> None:
    """And no text leads out of its root."""
    try:
        place = engine_location(kind + rest)
    except UsageError:
        return
    assert place is not None
    assert engine_location(str(place)) == place
    assert not {"..", "/"} & {*place.path.parts, *PurePosixPath(place.root).parts[1:]}
