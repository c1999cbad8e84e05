"""What a verb says and how it ends: exit codes, errors as sentences, tables for people and JSON for programs.

Data go to stdout and messages to stderr. An error shows a sentence, never a traceback, and never a value that may be
personal: of an unexpected error only its type and place are shown.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """How every `ncen` verb ends."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    BAD_INPUT = 5
    NOT_VERIFIED = 6


class Failure(Exception):  # noqa: N818  # like Refused: the answer to a person who asked
    """A verb cannot do what was asked; the message is the sentence to show, the class decides the exit code."""

    code = ExitCode.REFUSED


class Misused(Failure):
    """The verb was asked in a way that makes no sense."""

    code = ExitCode.USAGE


class NotFound(Failure):
    """What was asked for is not there."""

    code = ExitCode.NOT_FOUND


class Unreachable(Failure):
    """A server could not be started or does not answer."""

    code = ExitCode.UNREACHABLE


class BadInput(Failure):
    """A file that was given cannot be used."""

    code = ExitCode.BAD_INPUT


class VerificationFailed(Failure):
    """Something stored does not fit its proof."""

    code = ExitCode.NOT_VERIFIED
