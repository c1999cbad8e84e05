"""The node's logs: JSON lines in the home's log folder, bounded in size, with nothing personal in them.

Our own lines say what happened in words chosen beforehand. Of what libraries log, only the unfilled template, the
level and the type of the error are kept, since their arguments quote values; the same holds for uncaught errors.
"""

import json
import logging
import logging.handlers
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from cli.output import place_of

if TYPE_CHECKING:
    import structlog

MAX_BYTES = 4_000_000
OLD_FILES = 3
OURS = "ncen"
ROOMS = (OURS, "ledger", "projections", "exchange", "intake", "access", "cli")  # they keep the rule themselves


class Bare(logging.Formatter):
    """Writes our lines as they are, and of other lines only what cannot hold a value."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        is_ours = record.name.partition(".")[0] in ROOMS
        if is_ours and str(record.msg).startswith("{"):  # structlog has made the line
            return str(record.msg)
        is_template = isinstance(record.msg, str) and bool(record.args)
        line = {
            "event": record.getMessage() if is_ours else record.msg if is_template else "a library logged something",
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line |= {"error": type(error).__name__, "place": place_of(error)}
        return json.dumps(line)


def open_log(path: Path, *, also_stderr: bool = False) -> "structlog.typing.FilteringBoundLogger":
    """Send all logging of this process into the file `path`, and return the logger for our own lines."""
    import structlog

    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=OLD_FILES, encoding="utf-8")
    ]
    path.chmod(0o600)
    if also_stderr:
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(Bare())
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger(OURS)
    _bare_excepthooks(log)
    return log


def _bare_excepthooks(log: "structlog.typing.FilteringBoundLogger") -> None:
    """Log uncaught errors, in any thread, by type and place: their text may quote what was being worked on."""

    def uncaught(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        log.error("uncaught error", error=kind.__name__, place=place_of(error))

    def in_thread(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            uncaught(arguments.exc_type, arguments.exc_value, None)

    sys.excepthook = uncaught
    threading.excepthook = in_thread
