"""The command line answers without loading what only a recovery or the screen needs."""

import subprocess
import sys

import pytest

HEAVY = {"docker", "numpy", "psycopg2", "rich", "textual", "yaml"}

REPORT = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
IMPORT = REPORT + "import pitr_tui.cli"
RUN = REPORT + "from pitr_tui.cli import main; sys.exit(main())"


@pytest.mark.parametrize(
    ("code", "arguments"),
    [(IMPORT, []), (RUN, ["--version"]), (RUN, ["--help"])],
    ids=["import", "version", "help"],
)
def test_nothing_heavy_is_imported(code: str, arguments: list[str]) -> None:
    """Textual alone costs 200 ms, and Docker and numpy 135 ms each."""
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    modules = {name.partition(".")[0] for name in process.stderr.split()}
    assert "pitr_tui" in modules
    assert not modules & HEAVY


def test_the_list_of_scenarios_needs_no_server_and_no_screen() -> None:
    process = subprocess.run(
        [sys.executable, "-c", RUN, "lab"], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    modules = {name.partition(".")[0] for name in process.stderr.split()}
    assert modules & HEAVY == {"yaml"}
