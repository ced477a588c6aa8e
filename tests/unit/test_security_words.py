"""Passwords in text from outside are masked before it is kept or shown."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.postgres.quote import conf_value, conninfo_value, without_secrets
from pitr_tui.servers.sql import connection_text

SECRET = "hunter2-Xq"
SPOKEN = [
    f"primary_conninfo = 'user=u password={SECRET} host=x'",
    f'invalid value for parameter "primary_conninfo": "host=a password=\'{SECRET}\'"',
    rf"conninfo 'host=a password=\'{SECRET} y\' port=1'",
    f"CREATE SUBSCRIPTION s CONNECTION 'host=h password={SECRET} dbname=d' PUBLICATION p",
    f"CREATE SUBSCRIPTION s CONNECTION 'host=h password=''{SECRET} and more'' dbname=d'",
    f"STATEMENT:  ALTER ROLE u WITH ENCRYPTED PASSWORD '{SECRET}' VALID UNTIL 'infinity'",
    f"ALTER ROLE u PASSWORD E'\\'{SECRET}'",
    f"ALTER ROLE u PASSWORD $x${SECRET}$x$",
    f"could not connect to postgresql://u:{SECRET}@db:5432/x",
    f"could not connect to postgres://u:a@b:{SECRET}@db/x?sslmode=off",
    f"could not connect to postgresql://db/x?user=u&password={SECRET}",
    f"PGPASSWORD={SECRET} psql",
    f'{{"password": "{SECRET}"}}',
    f"archive-get --repo1-cipher-pass={SECRET}",
    f"sslpassword='{SECRET}'",
    f"password=a;b)c&{SECRET} host=h",
    f"line that was cut off: password='{SECRET}",
]
HARMLESS = [
    'FATAL:  password authentication failed for user "u"',
    "FATAL:  no password supplied",
    "password_encryption = 'scram-sha-256'",
    "https://[::1]:5432/x 12:30:00 a@b",
    'LOG:  restored log file "000000010000000000000002" from archive',
]


@pytest.mark.parametrize("text", SPOKEN)
def test_a_password_is_masked_wherever_it_is_said(text: str) -> None:
    masked = without_secrets(text)
    assert SECRET not in masked
    assert "***" in masked


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_speaks_of_passwords_stays(text: str) -> None:
    assert without_secrets(text) == text


PASSWORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1)


@given(PASSWORDS, st.sampled_from(["", "user=u ", "host='a b' "]))
def test_any_password_of_a_connection_string(password: str, before: str) -> None:
    said = f"{before}password={conninfo_value(f'§§{password}')} dbname=d"
    for text in (said, f"primary_conninfo = {conf_value(said)}", f"DETAIL:  {said}"):
        masked = without_secrets(text)
        assert "§" not in masked
        assert "dbname=d" in masked, "what stands behind it stays"
    assert "§" not in connection_text({"host": "h", "password": f"§§{password}"})


@pytest.mark.parametrize(
    "text",
    [
        "a." * 500_000,
        "password=" * 100_000,
        "password='" * 100_000,
        "x://" * 250_000,
        "://u:" * 200_000,
        "password=''" * 100_000,
        "PASSWORD $" * 100_000,
        "\\" * 1_000_000 + "pass",
    ],
    ids=["dots", "names", "quotes", "schemes", "users", "doubled", "dollars", "backslashes"],
)
def test_a_line_of_a_megabyte_takes_no_time(text: str) -> None:
    started = time.process_time()
    without_secrets(text)
    assert time.process_time() - started < 1
