"""`ncen vault …`: under which epoch the keys of the subjects are wrapped, and how it is rotated.

A rotation wraps the living keys anew and destroys the old epoch's key, after which no copy of a deleted key opens. The
node does it by itself within a day of an erasure; nobody is ever shown a key.
"""

from cyclopts import App

from cli import output, show

app = App(name="vault", help="Show how the keys of the subjects are wrapped, and rotate their epoch.")


@app.command
def status() -> None:
    """Show the epoch, its age, how many keys are wrapped under which, and which erasures wait for the next one."""
    from cli.settings import load
    from cli.supervisor import database_url
    from ledger import epochs

    settings = load()
    stands = epochs.standing(database_url(settings), settings.keys)
    counted = ", ".join(f"{count} under epoch {epoch}" for epoch, count in stands.keys.items()) or "none"
    told = [
        ("epoch", f"{stands.epoch}, begun {show.when(stands.began_at)}"),
        ("keys", counted),
        ("erased", f"{stands.erased} subjects; {stands.not_destroyed} of them wait for the next epoch"),
    ]
    if stands.lost:
        told.append(("LOST", f"{stands.lost} keys are of an epoch whose key is not here: they open nothing."))
    output.show(show.plain(stands), show.laid_out(told))


@app.command
def rotate() -> None:
    """Wrap all living keys under a new epoch, destroy the old one, and clear the files of whom was erased."""
    from cli.settings import load
    from cli.supervisor import database_url
    from ledger import epochs
    from projections import forgetting

    settings = load()
    url = database_url(settings)
    done = epochs.rotate(url, settings.keys)
    cleared = forgetting.clear(url)
    gone = ", ".join(map(str, done.destroyed)) or "none"
    output.show(
        {"rotated": show.plain(done), "cleared": show.plain(cleared)},
        f"Epoch {done.epoch}: {done.rewrapped} keys wrapped anew in {done.seconds:.1f} s; epochs destroyed: {gone}.",
        f"Cleared {cleared.erasures} erasures from {cleared.tables} tables and {cleared.segments} log segments.",
        "Copy the keys folder now: an older copy no longer opens anything, and a backup is nothing without it.",
        *cleared.left,
    )
