"""A loss is acknowledged once, and only where something was lost."""

from domain.attribution import Role
from domain.loss import AcknowledgeLoss, LossAcknowledged, LossCause, record_id_of
from tests.domain.given import acting, given

ADMINISTRATOR = acting("boss", Role.ADMINISTRATOR)
LOST = LossAcknowledged(statement=1, kept=20, lost=26, cause=LossCause.MEDIA_FAILURE)


def test_a_loss_is_acknowledged() -> None:
    asked = AcknowledgeLoss(statement=1, kept=20, lost=26, cause=LossCause.MEDIA_FAILURE)
    given().when(asked, ADMINISTRATOR).then(LOST).and_again()


def test_what_is_on_record_stays_as_it_was_told() -> None:
    given(LOST).when(AcknowledgeLoss(statement=1, kept=20, lost=26, cause=LossCause.NOT_KNOWN), ADMINISTRATOR).then()


def test_where_nothing_was_lost_nothing_is_acknowledged() -> None:
    for lost in (20, 19):
        asked = AcknowledgeLoss(statement=1, kept=20, lost=lost, cause=LossCause.NOT_KNOWN)
        given().when(asked, ADMINISTRATOR).refused("Nothing was lost")


def test_each_loss_of_a_node_is_a_record_of_its_own() -> None:
    assert len({record_id_of("XA", 1), record_id_of("XA", 2), record_id_of("XB", 1)}) == 3
