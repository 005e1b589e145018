"""`explain` describes each outcome in the words of docs/delegations.md."""

import pytest
from test_lifecycle_page import rows

from projector.contract.facts import Status
from projector.domain.outcomes import LOST, MEANING, REPEATED, Outcome
from projector.explain.sentences import Why, sentence


def test_meanings_equal_those_of_the_page() -> None:
    assert {str(outcome): text for outcome, text in MEANING.items()} == rows("## Outcomes")
    assert list(MEANING) == list(Outcome)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_sentence(outcome: Outcome) -> None:
    assert sentence(outcome, Why()) in (MEANING[outcome], REPEATED, f"{MEANING[outcome]}, which was already recorded")


def test_sentence_names_the_details_of_the_case() -> None:
    assert sentence(Outcome.DUPLICATE, Why(holder="d-7")) == f"{LOST}: d-7"
    assert sentence(Outcome.INSERTED, Why(unparked=2)).endswith(" (parked before it: 2)")
    for outcome in (Outcome.STALE, Outcome.REFUSED):
        assert sentence(outcome, Why(Status.STUCK)).endswith(" (it was stuck)")
    assert sentence(Outcome.HEARTBEAT, Why(changed=True)).endswith("was alive")
    assert sentence(Outcome.DEAD_LETTER, Why(reason="not JSON")).endswith(": not JSON")
