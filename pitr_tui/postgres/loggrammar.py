"""The server's messages about recovery, in the wording of every version from 9.6 to 18.

Compared with the logs of real servers and with the format strings in their binaries.
Source: xlog.c until 14, then xlogrecovery.c; xlogarchive.c (restore_command),
xlogreader.c (damage and the end of WAL), guc.c, pqcomm.c, miscinit.c, postmaster.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from pitr_tui.postgres.logkind import ObservationKind as K
from pitr_tui.postgres.logkind import Severity as S

# Who may say a message. ERROR is left out by default: it is a client's own affair.
SERVER: frozenset[S | None] = frozenset({S.LOG, S.WARNING, S.FATAL, S.PANIC})
FATAL: frozenset[S | None] = frozenset({S.FATAL, S.PANIC})
ANYBODY: frozenset[S | None] = SERVER | {S.ERROR}
DETAIL: frozenset[S | None] = frozenset({S.DETAIL})
CONTEXT: frozenset[S | None] = frozenset({S.CONTEXT})
UNPREFIXED: frozenset[S | None] = frozenset({None})  # restore_command's own output

# What <word> stands for in a pattern. Lower case is kept as a field of the observation.
# Numbers are bounded, because int() refuses thousands of digits and a line may hold any.
_TOKENS = {
    "lsn": r"[0-9A-F]{1,8}/[0-9A-F]{1,8}",
    "LSN": r"[0-9A-F]{1,8}/[0-9A-F]{1,8}",
    "timeline": r"[1-9][0-9]{0,8}",
    "xid": r"[0-9]{1,20}",
    "found": r"[0-9]{1,20}",
    "wanted": r"[0-9]{1,20}",
    "N": r"[0-9]{1,20}",
    "before": r"before|after",
    "time": r".+",
    "name": r".+?",
    "what": r".+",
}


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    def group(token: re.Match[str]) -> str:
        word = token[1]
        return f"({'?:' if word.isupper() else f'?P<{word}>'}{_TOKENS[word]})"

    return re.compile(re.sub(r"(?<!\?P)<(\w+)>", group, pattern), re.DOTALL)


@dataclass(frozen=True, slots=True)
class Row:
    """One message: what it means, its whole text as a pattern, and who may say it.

    >>> row = Row(K.REDO_START, "redo starts at <lsn>")
    >>> row.word, row.regex.fullmatch("redo starts at 0/2000028")["lsn"]
    ('redo', '0/2000028')
    """

    kind: K
    pattern: str
    severities: frozenset[S | None] = SERVER
    what: str | None = None

    @property
    def regex(self) -> re.Pattern[str]:
        """The pattern, compiled when first needed: all at once would delay every start."""
        return _compile(self.pattern)

    @property
    def word(self) -> str:
        """The first word when it is fixed, else nothing."""
        first = self.pattern.partition(" ")[0]
        return first if re.fullmatch(r"[\w-]+", first) else ""


# fmt: off
_SURROUNDINGS = (  # first, since "No space left" outweighs what the server was about to do
    Row(K.OUT_OF_RESOURCES, "could not (?:create semaphores|map anonymous shared memory).*"),
    Row(K.OUT_OF_RESOURCES, "could not (?:create|get|open|resize) shared memory segment.*"),
    Row(K.OUT_OF_RESOURCES, "out of (?:shared )?memory.*", FATAL),
    Row(K.DISK_FULL, ".*: No space left on device", ANYBODY),
    Row(K.DISK_FULL, ".*No space left on device.*", UNPREFIXED),
    Row(K.BAD_PERMISSIONS, 'could not [^"]+"<name>": Permission denied', FATAL),
    Row(K.BAD_PERMISSIONS, "(?P<name>.*): Permission denied", UNPREFIXED),
    Row(K.BAD_PERMISSIONS, 'data directory "<name>" has invalid permissions'),
    Row(K.BAD_PERMISSIONS, 'data directory "<name>" has (?:group or world access|wrong ownership)'),
    Row(K.WRONG_USER, '"root" execution of the PostgreSQL server is not permitted.*', UNPREFIXED),
    Row(K.WRONG_IMAGE_PLACE,
        "Error: (?P<what>in [0-9]+[+], these Docker images are configured to store database data"
        " in a)", UNPREFIXED),
    Row(K.WRONG_IMAGE_PLACE,
        "Error: (?P<what>Database is uninitialized and superuser password is not specified)[.]",
        UNPREFIXED),
    Row(K.NOT_A_DATA_DIRECTORY, '.*could not access the server configuration file "<name>": .+',
        UNPREFIXED),
    Row(K.NOT_A_DATA_DIRECTORY, '.*could not access directory "<name>": .+', UNPREFIXED),
    Row(K.BAD_CONTROL_FILE, ".*could not find the database system", UNPREFIXED),
    Row(K.BAD_CONTROL_FILE, "incorrect checksum in control file", FATAL),
    Row(K.BAD_CONTROL_FILE, "control file contains invalid .+", FATAL),
    Row(K.BAD_CONTROL_FILE,
        'could not (?:open|read) (?:control )?file "[^"]*global/pg_control": '
        "(?!Permission|Too many).+", FATAL),
    Row(K.NOT_A_DATA_DIRECTORY, 'data directory "<name>" does not exist'),
    Row(K.NOT_A_DATA_DIRECTORY, 'specified data directory "<name>" is not a directory'),
    Row(K.NOT_A_DATA_DIRECTORY, '"<name>" is not a valid data directory', FATAL),
    Row(K.INCREMENTAL, "this is an incremental backup, not a data directory"),
    Row(K.VERSION_MISMATCH, "database files are incompatible with server"),
    Row(K.VERSION_MISMATCH,
        "The data directory was initialized by PostgreSQL version <name>, which is not compatible"
        " with this version .+", DETAIL),
    Row(K.MISSING_LIBRARY, 'could not access file "<name>": No such file or directory', FATAL),
    Row(K.MISSING_LIBRARY, 'could not load library "<name>": .+', FATAL),
    Row(K.ALREADY_RUNNING, r'lock file "(?P<name>[^"]*postmaster\.pid)" already exists'),
    Row(K.ALREADY_RUNNING, 'lock file "<name>" is empty'),
    Row(K.ALREADY_RUNNING, "pre-existing shared memory block .+ is still in use"),
    Row(K.PORT_IN_USE, 'lock file "<name>" already exists'),
    Row(K.PORT_IN_USE, 'could not create lock file "<name>": .+'),
    Row(K.PORT_IN_USE, 'could not bind (?P<name>.+): Address already in use'),
    Row(K.PORT_IN_USE, "could not create any (?P<name>TCP/IP|Unix-domain) sockets"),
)
_WAKING = (
    Row(K.SERVER_START, r"starting PostgreSQL (?P<name>\S+).*"),
    Row(K.LISTENING, "listening on (?P<name>.+)"),
    Row(K.INTERRUPTED, "database system was interrupted; last known up at <time>"),
    Row(K.INTERRUPTED_IN_RECOVERY,
        "database system was interrupted while in recovery at (?:log time )?<time>"),
    Row(K.SHUT_DOWN_IN_RECOVERY, "database system was shut down in recovery at <time>"),
    Row(K.SHUT_DOWN, "database system was shut down at <time>"),
    Row(K.CRASH_RECOVERY,
        "database system was not properly shut down; automatic recovery in progress"),
    Row(K.SHUTDOWN_INTERRUPTED,
        "database system shutdown was interrupted; last known up at <time>"),
    Row(K.REINITIALISING, "all server processes terminated; reinitializing"),
    Row(K.WAL_DIRECTORY, 'creating missing WAL directory "<name>"'),
    Row(K.PREPARING_FILES, "syncing data directory .+, current path: (?P<name>.+)"),
    Row(K.PREPARING_FILES, "resetting unlogged relations .+, current path: (?P<name>.+)"),
)
_AIMING = (
    Row(K.RECOVERY_MODE, "starting archive recovery", what="latest"),
    Row(K.RECOVERY_MODE, "starting point-in-time recovery to XID <xid>", what="xid"),
    Row(K.RECOVERY_MODE, 'starting point-in-time recovery to "<name>"', what="name"),
    Row(K.RECOVERY_MODE, "starting point-in-time recovery to earliest consistent point",
        what="immediate"),
    Row(K.RECOVERY_MODE, r'starting point-in-time recovery to WAL location \(LSN\) "<lsn>"',
        what="lsn"),
    Row(K.RECOVERY_MODE, r"starting point-in-time recovery to (?P<time>\d{4,}-.+|-?infinity)",
        what="time"),
    Row(K.STANDBY_MODE, "entering standby mode"),
    Row(K.BACKUP_BEGIN,
        "starting backup recovery with redo LSN <lsn>, checkpoint LSN <LSN>,"
        " on timeline ID <timeline>"),
    Row(K.BACKUP_RESTART, "restarting backup recovery with redo LSN <lsn>.*"),
    Row(K.BACKUP_END_SEEN,
        "saw end-of-backup record for backup starting at <LSN>, waiting for <lsn>"),
    Row(K.BACKUP_END, "completed backup recovery with redo LSN <LSN> and end LSN <lsn>"),
    Row(K.FETCHED, 'restored log file "<name>" from archive'),
)
_REPLAYING = (
    Row(K.REDO_START, "redo starts at <lsn>"),
    Row(K.REDO_NONE, "redo is not required"),
    Row(K.REDO_PROGRESS, "redo in progress, elapsed time: .+, current LSN: <lsn>"),
    Row(K.REDO_CONTEXT, r"WAL redo at <lsn> for (?P<what>\S+?):?(?: .+)?", CONTEXT),
    Row(K.REDO_CONTEXT, r"xlog redo at <lsn> for (?P<what>\S+?):?(?: .+)?", CONTEXT),
    Row(K.CONSISTENT, "consistent recovery state reached at <lsn>"),
    Row(K.READ_ONLY_OPEN, "database system is ready to accept read[ -]only connections"),
    Row(K.RESTARTPOINT, "restartpoint (?P<what>starting|complete): .+"),
    Row(K.RESTART_FROM, "recovery restart point at <lsn>"),
    Row(K.RESTART_FROM, r"[Ll]ast completed transaction was at log time (?P<time>.+?)\.?", DETAIL),
    Row(K.STREAMING, "started streaming WAL from primary at <lsn> on timeline <timeline>"),
    Row(K.STREAM_FAILED, ".*could not connect to the primary server: <what>",
        FATAL | {S.ERROR}),
    Row(K.STREAM_FAILED, "could not receive data from WAL stream: <what>", ANYBODY),
    Row(K.STREAM_FAILED,
        "database (?P<what>system identifier differs between the primary and standby)", ANYBODY),
    Row(K.STREAM_FAILED,
        "highest (?P<what>timeline [0-9]+ of the primary is behind recovery timeline [0-9]+)",
        ANYBODY),
    Row(K.NEW_TARGET_TIMELINE, "new target timeline is <timeline>"),
    Row(K.CONTRECORD_SKIPPED, "successfully skipped missing contrecord at <lsn>, .+"),
    Row(K.PAGE_MISSING,
        "page (?P<what>[0-9]+) of relation <name> (?:does not exist|is uninitialized)"),
    Row(K.WAITING_FOR_WAL, "waiting for WAL to become available at <lsn>"),
    Row(K.STREAMING_ENDED, "replication terminated by primary server"),
    Row(K.STREAMING_ENDED,
        "primary server contains no more WAL on requested timeline <timeline>"),
)
_STOPPING = (
    Row(K.STOPPING,
        "recovery stopping <before> (?P<what>commit|abort) of transaction <xid>, time <time>"),
    Row(K.STOPPING, 'recovery stopping at restore point "(?P<name>.+)", time <time>',
        what="restore point"),
    Row(K.STOPPING, r'recovery stopping <before> WAL location \(LSN\) "<lsn>"', what="lsn"),
    Row(K.STOPPING, "recovery stopping after reaching consistency", what="consistency"),
    Row(K.PAUSED, "pausing at the end of recovery", what="target"),
    Row(K.PAUSED, "recovery has paused"),
    Row(K.PAUSED_UNFIT, "If recovery is unpaused, the server will shut down.", DETAIL),
    Row(K.SHUTDOWN_AT_TARGET, "shutdown at recovery target"),
    Row(K.PROMOTE_REQUESTED, "received promote request"),
    Row(K.PROMOTE_REQUESTED, "trigger file found: (?P<name>.+)"),
    Row(K.PROMOTE_REQUESTED, "promote trigger file found: (?P<name>.+)"),
    Row(K.REDO_DONE, "redo done at <lsn>(?: system usage: .+)?"),
    Row(K.LAST_TRANSACTION, "last completed transaction was at log time <time>"),
    Row(K.NEW_TIMELINE, "selected new timeline ID: <timeline>"),
    Row(K.RECOVERY_COMPLETE, "archive recovery complete"),
    Row(K.OPEN, "database system is ready to accept connections"),
    Row(K.CHECKPOINT, "checkpoint (?P<what>starting|complete): .+"),
    Row(K.SERVER_STOPPING, "received (?P<what>smart|fast|immediate) shutdown request"),
    Row(K.SERVER_STOPPED, "database system is shut down"),
)
_MISSED = (
    Row(K.UNREACHED, "recovery ended before configured recovery target was reached"),
    Row(K.TOO_EARLY, "requested recovery stop point is before consistent recovery point"),
    Row(K.WAL_ENDS_BEFORE_BACKUP_END, "WAL ends before end of online backup"),
    Row(K.NOT_CONSISTENT, "WAL ends before consistent recovery point"),
    Row(K.BAD_CHECKPOINT,
        "invalid (?:.+ in |length of |)(?:primary |secondary |)checkpoint record"),
    Row(K.NO_CHECKPOINT, "could not locate required checkpoint record(?: at <lsn>)?"),
    Row(K.NO_BACKUP_LABEL, "could not locate a valid checkpoint record(?: at <lsn>)?"),
    Row(K.NO_REDO_LOCATION,
        "could not find redo location (?:<lsn> )?referenced by checkpoint record(?: at <LSN>)?"),
    Row(K.NOT_A_CHILD_TIMELINE,
        "requested timeline <timeline> is not a child of this server's history"),
    Row(K.WRONG_TIMELINE,
        "requested timeline <timeline> does not contain minimum recovery point <lsn>"
        " on timeline <N>"),
    Row(K.WRONG_TIMELINE, "unexpected (?:previous )?timeline ID <N> .+ record(?:, before .+)?"),
    Row(K.NO_TIMELINE_HISTORY, "recovery target timeline <timeline> does not exist"),
    Row(K.NOT_A_CHILD_TIMELINE,
        "new timeline <timeline> is not a child of database system timeline <N>"),
    Row(K.WRONG_TIMELINE,
        "new timeline <timeline> forked off current database system timeline <N>"
        " before current recovery point <lsn>"),
    Row(K.WRONG_TIMELINE, "requested timeline <timeline> is not in this server's history", FATAL),
    Row(K.WRONG_TIMELINE,
        "according to history file, WAL location <lsn> belongs to timeline <timeline>, but .+",
        ANYBODY),
    Row(K.BAD_HISTORY, "syntax error in history file: <what>", ANYBODY),
    Row(K.BAD_HISTORY, "invalid data in history file: <what>", ANYBODY),
    Row(K.BAD_HISTORY, 'invalid data in history file "<name>"', ANYBODY),
    Row(K.BAD_BACKUP, "backup_label contains data inconsistent with control file"),
    Row(K.BAD_BACKUP, 'invalid data in file "<name>"', FATAL),
    Row(K.BAD_BACKUP, "online backup was canceled, recovery cannot continue"),
    Row(K.BAD_BACKUP, "unexpected record type found at redo point <lsn>"),
    Row(K.BAD_BACKUP, "invalid (?:redo|redo record|next transaction ID) in .*checkpoint record",
        FATAL),
    Row(K.MISSING_TABLESPACE, 'directory "<name>" does not exist', FATAL),
    Row(K.MISSING_TABLESPACE, 'could not create (?:symbolic link|directory) "<name>": .+', FATAL),
    Row(K.MISSING_TABLESPACE, 'unexpected directory entry "<name>" found in pg_tblspc/?', FATAL),
    Row(K.DAMAGED_DATA, "invalid page in block <N> of relation (?P<name>.+)", FATAL),
    Row(K.DAMAGED_DATA, 'could not read block <N> in file "<name>": .+', FATAL),
    Row(K.DAMAGED_DATA, "could not access status of transaction <N>", FATAL),
    Row(K.DAMAGED_DATA, "inconsistent page found, (?P<name>rel .+)", FATAL),
)
_SETTINGS = (
    Row(K.PARAMETER_TOO_LOW,
        "hot standby is not possible because <name> = <found> is a lower setting than on the"
        r" (?:master|primary) server \(its value was <wanted>\)"),
    Row(K.PARAMETER_TOO_LOW,
        "<name> = <found> is a lower setting than on the primary server,"
        r" where its value was <wanted>\.", DETAIL),
    Row(K.PARAMETER_TOO_LOW,
        "hot standby is not possible because of insufficient parameter settings"),
    Row(K.PARAMETER_TOO_LOW,
        "promotion is not possible because of insufficient parameter settings"),
    Row(K.PARAMETER_TOO_LOW, "recovery aborted because of insufficient parameter settings"),
    Row(K.TOO_FEW_SLOTS,
        '(?:logical|physical)? ?replication slot "<name>" exists, but "?wal_level"? < .+', FATAL),
    Row(K.TOO_FEW_SLOTS, "too many replication (?:slots|origins) active before shutdown", FATAL),
    Row(K.TOO_FEW_SLOTS, "maximum number of prepared transactions reached", FATAL),
    Row(K.WAL_LEVEL_MINIMAL, 'WAL was generated with "?wal_level=minimal"?, .+'),
    Row(K.WAL_LEVEL_MINIMAL, "hot standby is not possible because wal_level was not set to .+"),
    Row(K.MULTIPLE_TARGETS, "multiple recovery targets specified"),
    Row(K.OLD_RECOVERY_CONF, 'using recovery command file "<name>" is not supported'),
    Row(K.NO_RESTORE_COMMAND,
        'must specify "?restore_command"? when standby mode is not enabled'),
    Row(K.NO_RESTORE_COMMAND, 'recovery command file "<name>" must specify restore_command .+'),
    Row(K.BAD_SETTING, 'invalid value for (?:recovery )?parameter "<name>": <what>'),
    Row(K.BAD_SETTING, 'unrecognized (?:configuration|recovery) parameter "<name>".*'),
    Row(K.BAD_SETTING, 'configuration file "<name>" contains errors'),
    Row(K.BAD_SETTING, 'syntax error in file "<name>" line <what>'),
    Row(K.BAD_SETTING, 'could not open configuration (?:file|directory) "<name>": <what>'),
    Row(K.BAD_SETTING, 'could not load (?P<name>[^":]+)', FATAL),  # pg_hba.conf, by any path
    Row(K.BAD_SETTING, '"?(?P<name>recovery_target_[a-z]+)"? is not a valid <what>',
        FATAL | DETAIL),
    Row(K.BAD_SETTING, "invalid input syntax for <what>", FATAL),
    Row(K.BAD_SETTING, 'parameter "<name>" requires a .+', FATAL),
    Row(K.BAD_SETTING, 'could not load (?:server certificate|private key|root certificate) file '
        '"<name>": <what>', FATAL),
    Row(K.BAD_SETTING, 'private key file "<name>" has group or world access', FATAL),
)
_ARCHIVE = (
    Row(K.FETCH_FATAL,
        'could not restore file "<name>" from archive: (?P<what>.*exit code <found>)', FATAL),
    Row(K.FETCH_FATAL, 'could not restore file "<name>" from archive: <what>', FATAL),
    Row(K.FETCHED_NOTHING,
        'could not stat file "(?P<name>[^"]*RECOVERY(?:XLOG|HISTORY))": <what>'),
    Row(K.WRONG_SIZE, 'archive file "<name>" has wrong size: <found> instead of <wanted>'),
    Row(K.CHECKSUM, "incorrect resource manager data checksum in record at <lsn>"),
    Row(K.BAD_PAGE,
        "invalid (?:magic number|info bits) [0-9A-F]+ in (?:log|WAL) segment <name>,"
        "(?: LSN <lsn>,)? offset <N>"),
    Row(K.FOREIGN_SYSTEM,
        "WAL file is from different database system: WAL file database system identifier is"
        " <found>, pg_control database system identifier is <wanted>"),
    Row(K.FOREIGN_SYSTEM, "WAL file is from different database system: incorrect <what>"),
    Row(K.RECORD_END,
        "invalid record length at <lsn>: (?:wanted|expected at least) <wanted>, got <found>"),
    Row(K.RECORD_END, "invalid record offset at <lsn>.*"),
    Row(K.RECORD_END, "invalid contrecord length .+ at <lsn>"),
    Row(K.RECORD_END, "invalid resource manager ID <N> at <lsn>"),
    Row(K.RECORD_END, "record length <found> at <lsn> too long"),
    Row(K.RECORD_END, "record with (?:incorrect prev-link|invalid length).* at <lsn>"),
    Row(K.RECORD_END, "there is no contrecord flag at <lsn>"),
    Row(K.RECORD_END, "contrecord is requested by <lsn>"),
    Row(K.RECORD_END, "missing contrecord at <lsn>"),
    Row(K.RECORD_END, "invalid block_id <N> at <lsn>"),
    Row(K.RECORD_END, "out-of-order block_id <N> at <lsn>"),
    Row(K.RECORD_END, "could not (?:decompress|restore) image at <lsn>.*"),
    Row(K.RECORD_END, "invalid image at <lsn>.*"),
    Row(K.RECORD_END, "BKPBLOCK_HAS_DATA .+ at <lsn>"),
    Row(K.RECORD_END, "BKPBLOCK_SAME_REL .+ at <lsn>"),
    Row(K.RECORD_END, "BKPIMAGE_HAS_HOLE .+ at <lsn>"),
    Row(K.RECORD_END, "BKPIMAGE_COMPRESSED .+ at <lsn>"),
    Row(K.RECORD_END,
        "unexpected (?:pageaddr <LSN>|timeline ID <N>) in (?:log|WAL) segment <name>,"
        "(?: LSN <lsn>,)? offset <N>"),
    Row(K.RECORD_END,
        r"out-of-sequence timeline ID <N> \(after <N>\) in (?:log|WAL) segment <name>,"
        "(?: LSN <lsn>,)? offset <N>"),
    Row(K.INVALID_PAGES, "WAL contains references to invalid pages"),
)
_ENDING = (
    Row(K.STARTUP_FAILED, r"startup process \(PID <N>\) exited with exit code <found>",
        what="exit"),
    Row(K.STARTUP_FAILED, r"startup process \(PID <N>\) was terminated by signal <found>(?:: .+)?",
        what="signal"),
    Row(K.STARTUP_FAILED, "aborting startup due to startup process failure"),
    Row(K.STARTUP_FAILED, "shutting down due to startup process failure"),
    Row(K.SESSION_REFUSED, "the database system is (?:starting up|shutting down|in recovery mode)"),
    Row(K.SESSION_REFUSED, "the database system is not (?:yet )?accepting connections"),
    Row(K.SESSION_REFUSED, "sorry, too many clients already", FATAL),
    Row(K.SESSION_REFUSED, "remaining connection slots are reserved .+", FATAL),
    Row(K.SESSION_REFUSED, "no pg_hba.conf entry for .+", FATAL),
    Row(K.SESSION_REFUSED, "unsupported frontend protocol .+", FATAL),
    Row(K.SESSION_REFUSED, r'\w+ authentication failed for user ".+"', FATAL),
    Row(K.SESSION_REFUSED, '(?:role|database) ".+" does not exist', FATAL),
    Row(K.SESSION_ENDED, "terminating .+ due to administrator command", FATAL),
    Row(K.SESSION_ENDED, "connection to client lost", FATAL),
    Row(K.UNRECOGNISED_PANIC, ".*", frozenset({S.PANIC})),
    Row(K.UNRECOGNISED_FATAL, ".*", frozenset({S.FATAL})),
)
# fmt: on

ROWS: tuple[Row, ...] = (
    *_SURROUNDINGS, *_WAKING, *_AIMING, *_REPLAYING, *_STOPPING,
    *_MISSED, *_SETTINGS, *_ARCHIVE, *_ENDING,
)  # fmt: skip


def _index() -> dict[S | None, dict[str, tuple[Row, ...]]]:
    """Rows by severity and first word, in the order of ROWS; "" for any other word."""
    index: dict[S | None, dict[str, tuple[Row, ...]]] = {}
    rows = [(row.word, row) for row in ROWS]
    for severity in {said for row in ROWS for said in row.severities}:
        spoken = [(word, row) for word, row in rows if severity in row.severities]
        index[severity] = {
            first: tuple(row for word, row in spoken if word in ("", first))
            for first in {"", *(word for word, _ in spoken)}
        }
    return index


_BY_WORD = _index()


def candidates(severity: S | None, message: str) -> tuple[Row, ...]:
    """The few rows that a message of this severity and first word can match.

    >>> [row.pattern for row in candidates(S.LOG, "checkpoint complete: wrote 5 buffers")][1:]
    ['checkpoint (?P<what>starting|complete): .+']
    """
    words = _BY_WORD.get(severity)
    if words is None:
        return ()
    return words.get(message.partition(" ")[0], words[""])
