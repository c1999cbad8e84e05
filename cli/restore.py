"""`ncen restore`: a node brought back from a backup, to its end or to a chosen position or moment.

It keeps these rules: nothing that exists is ever written over; what was copied is compared with its manifest, and the
ledger recomputed, before the node can be started; erasures are carried out again first. A restore that was interrupted
is said again and begins anew; until it has ended, `ncen up` refuses.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from cli import backed_up
from cli.backed_up import Note
from cli.output import ExitCode, Failure, Misused, show
from cli.processes import locked, write_durably
from cli.restoring import MARK, Restored, Restoring, Wish
from cli.settings import Settings, load
from ledger.whole_file import flush_folder

BEGUN = ("keys", "checkpoints", "run", "log", "ncen.toml", "postgres", MARK)
"""What a home may hold already: keys that were put there, and what an interrupted restore has left."""


def restore(
    folder: Path,
    /,
    *,
    until: str | None = None,
    archive: Path | None = None,
    keys: Path | None = None,
) -> ExitCode:
    """Bring a node back from a backup into a home that is empty, and verify it before it can be started.

    Args:
        folder: The folder that `ncen backup` has written.
        until: Go only as far as this ledger position, or this moment (2026-05-01T12:00; UTC unless it says).
        archive: A folder with more of the write-ahead log: the old home's postgres/archive.
        keys: The file with the node's keys, as `ncen backup --with-keys` made it.
    """
    settings = load()
    wish = Wish(folder.expanduser().absolute(), aim(until), archive and archive.expanduser().absolute(), keys)
    done = bring_back(settings, wish)
    data = {
        "node": done.node,
        "home": str(settings.home),
        "entries": done.entries,
        "position": done.position,
        "unsealed": done.entries - done.position,
        "root": done.root,
        "erased_again": done.erased_again,
        "opened": done.opened,
        "complete": wish.goal is None,
        "unreadable": done.unreadable,
        "beyond": done.beyond,
    }
    lines = [
        f"Node {done.node} is restored in {settings.home}: {done.entries} entries, sealed to {done.position}; all fit.",
        f"{done.opened} personal bodies were opened."
        if done.with_keys
        else "The node's keys are not there: put them into its keys folder before `ncen up`.",
    ]
    if done.erased_again:
        lines.append(f"{done.erased_again} erasures were carried out again.")
    if done.unreadable:
        lines.append(
            f"{done.unreadable} keys of persons open no more: their epoch ended after this backup was made, so that "
            "what they seal is lost here. A backup made since the last `ncen vault rotate` brings it back."
        )
    if done.beyond:
        lines.append(f"{done.beyond} entries that the node has signed for are not in this backup.")
    show(data, *lines, "`ncen up` starts it. Make a new backup then, in a new folder.")
    return ExitCode.DONE


def aim(until: str | None) -> int | datetime | None:
    """Read how far to go: a ledger position, a moment, or all the way.

    Raises Misused when it is neither.
    """
    if until is None:
        return None
    if re.fullmatch(r"[0-9]{1,18}", until):
        return int(until)
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise Misused("--until is a ledger position (4711) or a moment (2026-05-01T12:00:00).") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def bring_back(settings: Settings, wish: Wish) -> Restored:
    """Restore a node's home from a backup and verify it; afterwards nothing runs.

    Raises:
        Failure: the home is not empty, the goal is not within the backup, or there is no room.
        NotFound, VerificationFailed: there is no backup, or it is damaged.
    """
    note = backed_up.read_note(wish.folder)
    _refuse_other_server(settings)
    _refuse_wrong_goal(note, wish.goal)
    _refuse_full_home(settings, note)
    with backed_up.roomy("The node"), locked(_lock(settings), wait_s=5):
        _refuse_mixed_keys(settings, wish)
        write_durably(settings.home / MARK, f"{wish.folder}\n")
        _settings_file(settings, wish.folder, note)
        done = Restoring(settings, note, wish).run()
        (settings.home / MARK).unlink()
        flush_folder(settings.home)
        return done


def _refuse_mixed_keys(settings: Settings, wish: Wish) -> None:
    is_again = (settings.home / MARK).exists()
    if wish.keys is not None and any(settings.keys.iterdir()) and not is_again:
        raise Misused(f"{settings.keys} holds keys already: restore with those, or empty it first.")


def _lock(settings: Settings) -> Path:
    settings.make_folders()
    return settings.run / "up.lock"  # so that nothing starts the node meanwhile


def _refuse_other_server(settings: Settings) -> None:
    if settings.database_url is not None:
        raise Misused("This node uses a PostgreSQL that ncen does not run: restore it by that server's own means.")


def _refuse_full_home(settings: Settings, note: Note) -> None:
    home = settings.home
    if not home.is_dir():
        return
    others = [path.name for path in home.iterdir() if path.name not in BEGUN]
    is_interrupted = (home / MARK).exists()
    if others or ((home / "postgres").exists() and not is_interrupted):
        raise Misused(f"{home} is not empty, and a restore writes over nothing: name another home (--home).")
    if settings.file.exists() and (settings.node, settings.role) != (note.node, note.role):
        raise Misused(f"{settings.file} is that of the node {settings.node}; the backup is of {note.node}.")


def _refuse_wrong_goal(note: Note, goal: int | datetime | None) -> None:
    if isinstance(goal, int) and goal < note.base.sealed:
        raise Failure(f"This backup begins at position {note.base.sealed}: for {goal} take an older one.")
    if isinstance(goal, datetime) and goal < note.base.at:
        raise Failure(f"This backup begins at {note.base.at:%Y-%m-%d %H:%M:%S} UTC: for that moment take an older one.")


def _settings_file(settings: Settings, folder: Path, note: Note) -> None:
    kept = folder / settings.file.name
    if settings.file.exists():
        return
    if kept.exists():
        backed_up.copy_durably(kept, settings.file)
    else:
        write_durably(settings.file, f'node = "{note.node}"\nrole = "{note.role}"\n')
