"""Many are erased among more: afterwards nothing of them lies anywhere, in what was copied before it neither."""

from soak import residue


def test_nothing_of_a_hundred_erased_is_left_anywhere() -> None:
    done = residue.run(subjects=1_000, erased=100, seed=7, in_memory=True)
    assert (done.residues, done.places) == (0, ())
    assert done.unread == (), "all was looked through"
    assert [control.name for control in done.controls if not control.holds] == []
    assert len(done.controls) == 5
    assert done.megabytes > 100
