"""A query is one statement that looks; whatever hides a second one is refused."""

from __future__ import annotations

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.postgres.sqltext import require_look


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count(*) FROM t",
        " select 1 ; ",
        "WITH a AS (SELECT 1) TABLE a;",
        "VALUES (1), (2)",
        "SHOW archive_mode",
        "EXPLAIN SELECT 1",
        "/* a /* nested; */ ; */ SELECT 1 -- ;",
        "SELECT ';', E'\\';', \";\", $$;$$, $a$;$$;$a$",
        "SELECT 'it''s'; -- done",
        'SELECT "Set" FROM "Copy"',
        "SELECT a$b FROM t",
    ],
)
def test_a_look_is_taken(text: str) -> None:
    require_look(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no query"),
        (" -- nothing", "no query"),
        ("COPY t TO PROGRAM 'x'", "COPY"),
        ("SELECT 1; COPY (SELECT 1) TO PROGRAM 'x'", "one statement"),
        ("/**/COMMIT", "COMMIT"),
        ("SELECT 1; /**/ COMMIT; CREATE TABLE x()", "one statement"),
        ("SELECT 1;;", "one statement"),
        ("DO $$ BEGIN END $$", "DO"),
        ("SELECT pg_promote()", "PG_PROMOTE"),
        ('SELECT "pg_promote"()', "PG_PROMOTE"),
        ("SELECT pg_catalog.pg_switch_wal()", "PG_SWITCH_WAL"),
        ("SELECT lo_export(1, 'x')", "LO_EXPORT"),
        ("SELECT set_config('role', 'x', true)", "SET_CONFIG"),
        ("SELECT 1 INTO x", "INTO"),
        ("SELECT 'a", "no end"),
        ("SELECT $a$ ; $b$", "no end"),
        ("SELECT /* 1", "no end"),
        ("SELECT '\\'; COPY t TO 'x'; --'", "one statement"),
        ("SELECT 1$a$;$a$; COMMIT", "one statement"),
        ("SELECT a$b$; COMMIT; SELECT $b$", "one statement"),
        ("INSERT INTO t VALUES (1)", "INTO"),
    ],
)
def test_anything_else_is_refused(text: str, words: str) -> None:
    with pytest.raises(PitrError) as raised:
        require_look(text)
    assert words in str(raised.value)
