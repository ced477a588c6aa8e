"""A line of pg_hba.conf that is added: where it takes effect, and nothing else changes."""

from ipaddress import ip_network

import pytest

from pitr_tui.postgres.hba import (
    deciding_line,
    host_lines,
    replication_rule,
    trusts_loopback,
    with_rule,
)

LOOPBACK = ip_network("127.0.0.1/32")
RULE = replication_rule("postgres", LOOPBACK, "md5")

# As initdb of 9.6 leaves it.
OLD_DEFAULT = """\
# TYPE  DATABASE        USER            ADDRESS                 METHOD

# "local" is for Unix domain socket connections only
local   all             all                                     trust
# IPv4 local connections:
host    all             all             127.0.0.1/32            trust
# Allow replication connections from localhost, by a user with the
# replication privilege.
#local   replication     postgres                                trust
#host    replication     postgres        127.0.0.1/32            trust
#host    replication     postgres        ::1/128                 trust

host all all all md5
"""


def added(before: str, after: str) -> int:
    """The row of the only line that is new."""
    old, new = before.split("\n"), after.split("\n")
    rows = [row for row in range(len(new)) if new[:row] + new[row + 1 :] == old]
    assert rows, "more than one line has changed"
    return rows[0]


def test_the_comments_of_96_stay_and_the_line_stands_below_them() -> None:
    after = with_rule(OLD_DEFAULT, RULE)
    row = added(OLD_DEFAULT, after)
    assert after.split("\n")[row] == RULE
    assert after.split("\n")[row - 1].startswith("#host    replication     postgres        ::1")
    assert deciding_line(OLD_DEFAULT, "replication", "postgres", LOOPBACK) is None
    line = deciding_line(after, "replication", "postgres", LOOPBACK)
    assert line is not None
    assert line.method == "md5"


@pytest.mark.parametrize(
    "refusing",
    [
        "host replication all 0.0.0.0/0 reject",
        "host replication all all reject",
        "hostnossl replication postgres 127.0.0.0 255.0.0.0 reject",
        'host app, replication "postgres" samehost reject # nobody',
        "host replication +staff 127.0.0.1/32 reject",
        "host replication \\\n  all all reject",
    ],
)
def test_it_stands_before_a_line_that_would_refuse(refusing: str) -> None:
    before = f"host all all all md5\n{refusing}\nlocal all all trust\n"
    after = with_rule(before, RULE)
    assert added(before, after) == 1
    line = deciding_line(after, "replication", "postgres", LOOPBACK)
    assert line is not None
    assert (line.row, line.method) == (1, "md5")


@pytest.mark.parametrize(
    "other",
    [
        "host all all 127.0.0.1/32 trust",
        'host "replication" all 127.0.0.1/32 trust',
        "host replication ann 127.0.0.1/32 trust",
        "host replication all 10.0.0.0/8 trust",
        "host replication all ::1/128 trust",
        "host replication all ::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff trust",
        "local replication all trust",
        "# host replication all all trust",
    ],
)
def test_a_line_about_others_does_not_decide(other: str) -> None:
    assert deciding_line(f"{other}\n", "replication", "postgres", LOOPBACK) is None


def test_a_file_without_a_last_line_break_gets_one() -> None:
    assert with_rule("host all all all md5", RULE) == f"host all all all md5\n{RULE}\n"
    assert with_rule("", RULE) == f"{RULE}\n"


def test_a_line_is_not_put_into_the_middle_of_another() -> None:
    before = "host replication ann \\\n 127.0.0.1/32 md5\nhost all all all md5\n"
    after = with_rule(before, RULE)
    assert added(before, after) == 2
    assert [line.users for line in host_lines(after)] == [("ann",), ("postgres",), ("all",)]


def test_names_are_quoted_so_that_they_mean_one_user() -> None:
    for name in ("all", "My User", 'a"b', "+staff", "ann,bob"):
        (line,) = host_lines(replication_rule(name, LOOPBACK, "md5"))
        assert line.fits("replication", name, LOOPBACK)
        assert not line.fits("replication", "postgres", LOOPBACK)


def test_trust_is_seen_only_where_it_decides() -> None:
    assert trusts_loopback(OLD_DEFAULT, "postgres")
    assert not trusts_loopback(f"host all postgres all md5\n{OLD_DEFAULT}", "postgres")
    assert trusts_loopback(f"host all postgres all md5\n{OLD_DEFAULT}", "ann")
    assert not trusts_loopback("local all all trust\n", "postgres")
