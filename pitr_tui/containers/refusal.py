"""What a Docker engine refuses, in its own words: the SDK hides them in several layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pitr_tui.containers.sdk import load_sdk
from pitr_tui.errors import PitrError
from pitr_tui.postgres.quote import visible


class EngineError(PitrError):
    """What a Docker engine refused or could not do.

    `status` is the HTTP status of its answer (404 for what is not there, 409 for a conflict),
    or 0 when there was none.
    """

    def __init__(self, what: str, why: str = "", hint: str = "", status: int = 0) -> None:
        super().__init__(what, why, hint)
        self.status = status


@contextmanager
def engine_errors(what: str, hint: str = "") -> Iterator[None]:
    """Turn what the SDK raises into an EngineError that says `what` failed, in the engine's words.

    Errors of ours, and errors that have nothing to do with the engine, pass unchanged.
    """
    try:
        yield
    except PitrError:
        raise
    except Exception as error:
        if not is_of_engine(error):
            raise
        raise EngineError(what, words(error), hint, status_of(error)) from error


def is_of_engine(error: BaseException) -> bool:
    """Whether the SDK, its HTTP library or a broken connection raised it."""
    load_sdk()
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    kinds = (DockerException, RequestException, HTTPError, ConnectionError, TimeoutError)
    return isinstance(error, kinds)


def status_of(error: BaseException) -> int:
    """The HTTP status of the engine's answer, or 0."""
    return getattr(getattr(error, "response", None), "status_code", 0) or 0


def words(error: BaseException) -> str:
    """The engine's own explanation, or the innermost cause that has words."""
    explanation = getattr(error, "explanation", None)
    if explanation:
        return visible(str(explanation).strip())
    said = [
        str(cause.strerror if isinstance(cause, OSError) and cause.strerror else cause)
        for cause in causes(error)
    ]
    return visible(next((text for text in reversed(said) if text), type(error).__name__))


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what lies behind it; requests and urllib3 hide the causes in arguments."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
