"""Histories for the tests of the WAL reader, and their oracle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.wal.histories import MORE_SHAPES, SHAPES, History, Shape, history_of, remove_histories
from tests.wal.waldump import WITHOUT_WALDUMP, Waldump, waldump


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for any history one of each major; more of them in the matrix."""
    own = any("history" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "history" in metafunc.fixturenames and not own:
        wanted = [*SHAPES, *MORE_SHAPES]
        if "oracle" in metafunc.fixturenames:
            wanted = [one for one in wanted if one.major not in WITHOUT_WALDUMP]
        elif metafunc.module.__name__.endswith("test_without_waldump"):
            wanted = [one for one in wanted if one.major in WITHOUT_WALDUMP]
        matrix = (pytest.mark.matrix,)
        metafunc.parametrize(
            "history",
            [
                pytest.param(one, id=str(one), marks=matrix if one in MORE_SHAPES else ())
                for one in wanted
            ],
            indirect=True,
            scope="session",
        )


def shapes(*chosen: Shape) -> pytest.MarkDecorator:
    """Run a test on the histories of these shapes."""
    return pytest.mark.parametrize("history", chosen, ids=str, indirect=True, scope="session")


@pytest.fixture(scope="session")
def history(request: pytest.FixtureRequest) -> History:
    """What a real server wrote. It is shared, so no test changes it."""
    shape: Shape = request.param
    return history_of(shape)


@pytest.fixture
def oracle(history: History) -> Waldump:
    """pg_waldump of the history's major version."""
    return waldump(history.shape.major)


@pytest.fixture(scope="session", autouse=True)
def _remove_histories() -> Iterator[None]:
    yield
    remove_histories()
