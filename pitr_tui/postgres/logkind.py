"""What a server log line can mean for a recovery: kinds, how grave, and in plain words.

One member for each row of PostgreSQL's recovery messages (xlogrecovery.c, xlogarchive.c,
xlogreader.c, postmaster.c). How a line is recognised is in `loggrammar.py`.
"""

from __future__ import annotations

from enum import Enum, StrEnum


class Severity(StrEnum):
    """The word before a message (elog.c, error_severity and the secondary lines)."""

    DEBUG1 = "DEBUG1"
    DEBUG2 = "DEBUG2"
    DEBUG3 = "DEBUG3"
    DEBUG4 = "DEBUG4"
    DEBUG5 = "DEBUG5"
    INFO = "INFO"
    NOTICE = "NOTICE"
    LOG = "LOG"
    WARNING = "WARNING"
    ERROR = "ERROR"
    FATAL = "FATAL"
    PANIC = "PANIC"
    DETAIL = "DETAIL"
    HINT = "HINT"
    CONTEXT = "CONTEXT"
    STATEMENT = "STATEMENT"
    QUERY = "QUERY"
    LOCATION = "LOCATION"


class Gravity(Enum):
    """How bad a line is by itself, before anything else is known about the run."""

    NEWS = "news"
    ALARM = "alarm"  # harm or no harm: where it happens and what was asked for decide
    FAILURE = "failure"  # this attempt has failed, or what it delivers is not to be trusted


NEWS, ALARM, FAILURE = Gravity.NEWS, Gravity.ALARM, Gravity.FAILURE


class ObservationKind(StrEnum):
    """The meaning of one line.

    `sentence` names fields of the observation in {braces}; a part in [brackets] is left
    out when a line does not tell the fields in it.
    """

    gravity: Gravity
    sentence: str

    def __new__(cls, value: str, gravity: Gravity = NEWS, sentence: str = "") -> ObservationKind:
        kind = str.__new__(cls, value)
        kind._value_, kind.gravity, kind.sentence = value, gravity, sentence
        return kind

    @property
    def is_failure(self) -> bool:
        """The attempt has failed, or its result must not be trusted."""
        return self.gravity is FAILURE

    @property
    def is_alarm(self) -> bool:
        """Not decided by this line alone: look at its position, version and target."""
        return self.gravity is ALARM

    # fmt: off
    # The server wakes up.
    SERVER_START = ("server start", NEWS,
        "The server process has started (PostgreSQL {name}).")
    LISTENING = ("listening", NEWS,
        "The server listens on {name}, which says nothing yet about the recovery.")
    INTERRUPTED = ("interrupted", NEWS,
        "The files are those of a running server, last known up at {time}: "
        "normal for a base backup.")
    INTERRUPTED_IN_RECOVERY = ("interrupted in recovery", ALARM,
        "An earlier recovery of these files was cut off at {time}; it continues now, "
        "and if that keeps happening an earlier target may be needed.")
    SHUT_DOWN_IN_RECOVERY = ("shut down in recovery", NEWS,
        "The recovery was stopped cleanly at {time} and continues from there.")
    SHUT_DOWN = ("shut down", NEWS,
        "The files are those of a server that was stopped cleanly at {time}.")
    CRASH_RECOVERY = ("crash recovery", ALARM,
        "The server repairs itself after a crash and does not ask the WAL archive; if a recovery "
        "from a backup was meant, its signal file or recovery.conf is missing.")
    SHUTDOWN_INTERRUPTED = ("shutdown interrupted", NEWS,
        "The files are those of a server that was cut off while it was stopping, at {time}.")
    REINITIALISING = ("reinitialising", ALARM,
        "A process of the server crashed, so the server starts over by itself.")
    WAL_DIRECTORY = ("wal directory", NEWS,
        "The server creates {name}, which a backup may leave out: normal.")
    PREPARING_FILES = ("preparing files", NEWS,
        "The server is going through its files before replay and is now at {name}.")

    # Recovery begins.
    RECOVERY_MODE = ("recovery mode", NEWS,
        "Recovery from the WAL archive begins; it aims at {goal}.")
    STANDBY_MODE = ("standby mode", NEWS,
        "The server runs as a standby: at the end of the archive it waits for more WAL.")
    BACKUP_BEGIN = ("backup begin", NEWS,
        "The base backup starts at {lsn} on timeline {timeline}; replay begins there.")
    BACKUP_RESTART = ("backup restart", NEWS,
        "The server takes up the replay of the base backup that starts at {lsn} again.")
    BACKUP_END_SEEN = ("backup end seen", NEWS,
        "The record that ends a backup was met, but replay has to go on to {lsn}.")
    BACKUP_END = ("backup end", NEWS,
        "The base backup is replayed whole; {lsn} is the earliest place where replay may stop.")
    FETCHED = ("fetched", NEWS,
        "The WAL archive delivered {name}.")

    # Replay.
    REDO_START = ("redo start", NEWS,
        "Replay of the WAL starts at {lsn}.")
    REDO_NONE = ("redo none", NEWS,
        "There was no WAL to replay after the checkpoint.")
    REDO_PROGRESS = ("redo progress", NEWS,
        "Replay is under way and has come to {lsn}.")
    REDO_CONTEXT = ("redo context", NEWS,
        "The line above was caused by the WAL record at {lsn} ({what}).")
    CONSISTENT = ("consistent", NEWS,
        "The data is consistent from {lsn} on; replay continues towards the target.")
    READ_ONLY_OPEN = ("read-only open", NEWS,
        "The server is readable, which is no proof of the target: that is a line with "
        '"recovery stopping", which may stand above this one.')
    RESTARTPOINT = ("restartpoint", NEWS,
        "The server saves its place in the replay.")
    RESTART_FROM = ("restart from", NEWS,
        "If the server is stopped now, replay resumes from its last restartpoint[ at {lsn}]"
        "[, where the last transaction ended at {time}].")
    STREAMING = ("streaming", NEWS,
        "The server receives WAL from a primary, from {lsn} on timeline {timeline}.")
    WAITING_FOR_WAL = ("waiting for wal", NEWS,
        "Replay waits for WAL from {lsn} on, which has not arrived.")
    STREAM_FAILED = ("stream failed", ALARM,
        "The server could not get WAL from a primary ({what}); it goes on with the archive.")
    NEW_TARGET_TIMELINE = ("new target timeline", NEWS,
        "Replay follows timeline {timeline} from here on, because its history file has appeared.")
    CONTRECORD_SKIPPED = ("contrecord skipped", NEWS,
        "A record that the primary never finished was skipped at {lsn}: normal.")
    PAGE_MISSING = ("page missing", ALARM,
        "The WAL changes {name}, which the data files do not have[ (page {what})]; "
        "harmless only if a later record drops that file.")
    STREAMING_ENDED = ("streaming ended", NEWS,
        "The primary sends no more WAL[ on timeline {timeline}].")

    # The target, and after.
    STOPPING = ("stopping", NEWS,
        "The target is found: replay stops {place}.")
    PAUSED = ("paused", NEWS,
        "Replay is paused: the data can be read and stays as it is until somebody resumes.")
    SHUTDOWN_AT_TARGET = ("shutdown at target", NEWS,
        "The server stops at the target, as configured; started again it stops there again.")
    PROMOTE_REQUESTED = ("promote requested", NEWS,
        "Somebody asked the server to open for writing; "
        "PostgreSQL 12 and older ignore that while paused at the target.")
    REDO_DONE = ("redo done", NEWS,
        "Replay has ended; the last record it applied is at {lsn}.")
    LAST_TRANSACTION = ("last transaction", NEWS,
        "The last transaction in the recovered data ended at {time}.")
    NEW_TIMELINE = ("new timeline", NEWS,
        "From here on the server writes its own history, timeline {timeline}.")
    RECOVERY_COMPLETE = ("recovery complete", NEWS,
        "The server has finished the recovery; only an earlier stop tells "
        "that the target was reached.")
    OPEN = ("open", NEWS,
        "The server is open for reading and writing; if a target was set, that is success "
        "only when replay was seen to stop there.")
    CHECKPOINT = ("checkpoint", NEWS,
        "The server writes its changed pages to disk: routine.")
    SERVER_STOPPING = ("server stopping", NEWS,
        "Somebody asked the server to stop ({what} shutdown).")
    SERVER_STOPPED = ("server stopped", NEWS,
        "The server has stopped.")
    SESSION_REFUSED = ("session refused", NEWS,
        "A client was turned away; the recovery is not affected.")
    SESSION_ENDED = ("session ended", NEWS,
        "The server ended a connection or helper process because it was told to; "
        "the recovery is not affected.")

    # The target was not met.
    UNREACHED = ("unreached", FAILURE,
        "The WAL ended before the target: it lies later than the archived WAL, "
        "a segment is missing or damaged, or the name does not exist.")
    TOO_EARLY = ("too early", FAILURE,
        "The target lies before the point where this copy is consistent: "
        "start again from an older backup, or from a fresh copy of this one.")
    WAL_ENDS_BEFORE_BACKUP_END = ("wal ends before backup end", FAILURE,
        "The WAL written while the backup ran is not all in the archive, "
        "and without it the backup is unusable.")
    NOT_CONSISTENT = ("not consistent", FAILURE,
        "The WAL ended before the data was consistent; later segments are needed.")

    # Where to start from.
    BAD_CHECKPOINT = ("bad checkpoint", ALARM,
        "The checkpoint record to start from cannot be read; the next line tells what follows.")
    NO_CHECKPOINT = ("no checkpoint", FAILURE,
        "The WAL segment with the backup's first checkpoint was not found: check restore_command "
        "and the signal file (recovery.conf before 12), and do not remove backup_label, "
        "whatever the server's hint says.")
    NO_BACKUP_LABEL = ("no backup label", FAILURE,
        "There is no checkpoint to start from[ at {lsn}], most likely because backup_label "
        "was removed: restore the backup again and leave that file alone.")
    NO_REDO_LOCATION = ("no redo location", FAILURE,
        "The WAL segment where replay must begin[ ({lsn})] is missing; fetch it from the archive.")

    # Timelines.
    NOT_A_CHILD_TIMELINE = ("not a child timeline", FAILURE,
        "Timeline {timeline} left this backup's history before the backup was made: "
        'choose another timeline ("current" is the backup\'s own), or an older backup.')
    WRONG_TIMELINE = ("wrong timeline", FAILURE,
        "The WAL belongs to another branch of history than this copy needs; "
        "choose the timeline by hand, or start from a fresh copy.")
    NO_TIMELINE_HISTORY = ("no timeline history", FAILURE,
        "Timeline {timeline} was asked for, but its history file is not in the archive.")
    BAD_HISTORY = ("bad history", FAILURE,
        "A timeline's history file is damaged[ ({what})].")

    # The base backup itself.
    BAD_BACKUP = ("bad backup", FAILURE,
        "The base backup is not sound, and no WAL can mend it; restore another backup.")
    BAD_CONTROL_FILE = ("bad control file", FAILURE,
        "The file global/pg_control is missing or damaged, so the copy is not whole.")
    MISSING_TABLESPACE = ("missing tablespace", FAILURE,
        "A tablespace has no place here[ ({name})]; make its directory, or map it elsewhere.")
    DAMAGED_DATA = ("damaged data", FAILURE,
        "The copied data files are damaged or not whole[ ({name})].")

    # Settings the WAL demands.
    PARAMETER_TOO_LOW = ("parameter too low", FAILURE,
        "A setting is lower than on the primary"
        "[ ({name} is {found}, and must be {wanted} or more)]; "
        "raise it and start again, no new restore is needed.")
    PAUSED_UNFIT = ("paused unfit", FAILURE,
        "This pause is not the target: a setting is too low and the server will stop when resumed.")
    WAL_LEVEL_MINIMAL = ("wal level minimal", FAILURE,
        "The primary ran with wal_level below replica for a while, so data is missing in its WAL: "
        "stop before that moment, or use a later backup.")

    # What the archive delivered.
    FETCH_FATAL = ("fetch fatal", FAILURE,
        "The restore_command broke down on {name} ({what}); repair access to the archive "
        "and start again.")
    FETCHED_NOTHING = ("fetched nothing", FAILURE,
        "The restore_command reported success but left no file: the command is wrong.")
    WRONG_SIZE = ("wrong size", FAILURE,
        "The archived {name} is damaged: {found} bytes instead of {wanted}.")
    CHECKSUM = ("checksum", FAILURE,
        "The WAL record at {lsn} is damaged; the server takes that for the end of the WAL.")
    BAD_PAGE = ("bad page", FAILURE,
        "Segment {name} holds no valid WAL page[ at {lsn}] where one was expected; "
        "the server takes that for the end of the WAL.")
    FOREIGN_SYSTEM = ("foreign system", FAILURE,
        "The archive delivered WAL of another cluster[ (system identifier {found}, not {wanted})].")
    RECORD_END = ("record end", ALARM,
        "No further WAL record could be read[ at {lsn}]: normal at the end of the WAL, "
        "but damage if more WAL should follow.")
    INVALID_PAGES = ("invalid pages", FAILURE,
        "The WAL changes pages that the data files do not have: a file was lost "
        "or the restore was only partial.")

    # The configuration.
    MULTIPLE_TARGETS = ("multiple targets", FAILURE,
        "More than one recovery target is set; keep exactly one.")
    TOO_FEW_SLOTS = ("too few slots", FAILURE,
        "The server is configured for less than the copied data directory holds; "
        "raise the setting that the line names and start again.")
    BAD_SETTING = ("bad setting", FAILURE,
        "The server does not accept a setting or a configuration file[ ({name})].")
    OLD_RECOVERY_CONF = ("old recovery.conf", FAILURE,
        "A recovery.conf is present, which PostgreSQL 12 and later refuse; remove it "
        "and put its settings into the configuration.")
    NO_RESTORE_COMMAND = ("no restore command", FAILURE,
        "No restore_command is set, so the server cannot ask the WAL archive.")

    # The place it runs in.
    BAD_PERMISSIONS = ("bad permissions", FAILURE,
        "The server may not use a file or directory, or its permissions are too open[ ({name})].")
    WRONG_USER = ("wrong user", FAILURE,
        "PostgreSQL refuses to run as root; start it as the owner of the data directory.")
    WRONG_IMAGE_PLACE = ("wrong image place", FAILURE,
        "The container image found nothing or something unexpected where it keeps its data: "
        "mount the copy elsewhere and name it by PGDATA.")
    INCREMENTAL = ("incremental", FAILURE,
        "This is an incremental backup; combine it with its parents by pg_combinebackup first.")
    VERSION_MISMATCH = ("version mismatch", FAILURE,
        "The backup was made by another major version of PostgreSQL; use a server of that version.")
    NOT_A_DATA_DIRECTORY = ("not a data directory", FAILURE,
        "The path {name} is missing or is not a data directory of PostgreSQL.")
    MISSING_LIBRARY = ("missing library", FAILURE,
        "The server needs the library {name}, which is not installed here.")
    PORT_IN_USE = ("port in use", FAILURE,
        "The server cannot have its port or socket[ ({name})]; most likely another server has it.")
    ALREADY_RUNNING = ("already running", FAILURE,
        "Another server seems to run on this data directory, or one died and left its lock file.")
    DISK_FULL = ("disk full", FAILURE,
        "A file system is full; make room and start again.")
    OUT_OF_RESOURCES = ("out of resources", FAILURE,
        "The machine did not give the server the memory or semaphores it asked for.")

    # The end of it.
    STARTUP_FAILED = ("startup failed", FAILURE,
        "The process that replays the WAL has died, so the server stops; "
        "the reason is in the lines above, if there is one.")
    UNRECOGNISED_PANIC = ("unrecognised panic", FAILURE,
        "The server broke off for a reason that this program does not know; read the line itself.")
    UNRECOGNISED_FATAL = ("unrecognised fatal", ALARM,
        "A process of the server gave up for a reason that this program does not know; "
        "read the line itself.")
    # fmt: on


FAILURES = frozenset(kind for kind in ObservationKind if kind.is_failure)
ALARMS = frozenset(kind for kind in ObservationKind if kind.is_alarm)
