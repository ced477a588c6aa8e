"""Connections: their parameters are read, and no password of theirs is ever shown."""

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.servers.sql import Database, connection_text, parse_conninfo, query


@pytest.mark.parametrize(
    ("conninfo", "parameters"),
    [
        ("", {}),
        ("host=/run port=5433", {"host": "/run", "port": "5433"}),
        ("password='it\\'s s3cret' user=u", {"password": "it's s3cret", "user": "u"}),
        (
            "postgresql://u:s3cret@h:5433/db?sslmode=require",
            {
                "user": "u",
                "password": "s3cret",
                "host": "h",
                "port": "5433",
                "dbname": "db",
                "sslmode": "require",
            },
        ),
    ],
)
def test_a_connection_string_is_read(conninfo: str, parameters: dict[str, str]) -> None:
    assert parse_conninfo(conninfo) == parameters
    assert "s3cret" not in connection_text(parameters)
    assert "s3cret" not in str(Database(parameters))


@pytest.mark.parametrize("conninfo", ["host", "colour=red", "postgresql://[", "host='open"])
def test_nonsense_is_told(conninfo: str) -> None:
    with pytest.raises(PitrError, match="connection string cannot be read") as told:
        parse_conninfo(conninfo)
    assert told.value.why


def test_what_is_shown_of_a_connection() -> None:
    assert connection_text({}) == "libpq's defaults"
    assert connection_text({"password": "x"}) == "libpq's defaults"
    assert connection_text({"host": "h", "password": "x", "user": "u"}) == "host=h user=u"
    assert str(Database({"host": "h"})) == "dbname=postgres host=h"


def test_another_database_of_the_same_server() -> None:
    other = Database({"host": "h", "password": "x"}).named("shop")
    assert (other.parameters["dbname"], other.parameters["host"]) == ("shop", "h")
    assert other.parameters["password"] == "x"


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path: object) -> None:
    with pytest.raises(PitrError, match="cannot connect to") as told:
        Database({"host": str(tmp_path), "password": "s3cret"}).rows("SELECT 1")
    assert "No such file" in told.value.why
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize("name", ["facts", "settings", "archiver", "tables"])
def test_queries_are_there(name: str) -> None:
    assert "SELECT" in query(name).upper()
