"""A skip passes on a developer's machine and fails where PITR_STRICT is set."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parents[1] / "conftest.py"

SKIPPING = {
    "test_mark": "@pytest.mark.skip(reason='by mark')\ndef test(): pass",
    "test_condition": "@pytest.mark.skipif(True, reason='by condition')\ndef test(): pass",
    "test_call": "def test(): pytest.skip('by call')",
    "test_fixture": "@pytest.fixture\ndef it(): pytest.skip('by fixture')\ndef test(it): pass",
    "test_module": "pytest.skip('by module', allow_module_level=True)",
}
EXPECTED_FAILURES = """
@pytest.mark.xfail
def test_marked(): assert False

@pytest.mark.xfail(run=False)
def test_not_run(): assert False

def test_imperative(): pytest.xfail("known")
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return an empty project with our conftest, and without pytest's installed plugins."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(CONFTEST.read_text())
    return pytester


def add_tests(project: pytest.Pytester, **modules: str) -> None:
    """Write test modules, each of which uses pytest."""
    project.makepyfile(**{name: f"import pytest\n{code}" for name, code in modules.items()})


def test_strict_run_fails_on_every_skip_and_gives_its_reason(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITR_STRICT", "1")
    add_tests(project, **SKIPPING)
    result = project.runpytest("--continue-on-collection-errors")
    # Only the call is made by the test itself: the others happen before it.
    assert result.parseoutcomes() == {"failed": 1, "errors": 4}
    for how in ("mark", "condition", "call", "fixture", "module"):
        reason = result.stdout.str().index(f"by {how}\n")
        assert "PITR_STRICT is set" in result.stdout.str()[reason:].splitlines()[1]


def test_plain_run_lets_every_skip_pass(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PITR_STRICT", raising=False)
    add_tests(project, **SKIPPING)
    assert project.runpytest().parseoutcomes() == {"skipped": 5}


def test_strict_run_leaves_expected_failures_alone(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITR_STRICT", "1")
    add_tests(project, test_expected=EXPECTED_FAILURES)
    assert project.runpytest().parseoutcomes() == {"xfailed": 3}
