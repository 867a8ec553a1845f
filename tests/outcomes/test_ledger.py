"""The ledger counts each pair once, and passes it on once, also after an interrupt."""

from __future__ import annotations

import pytest

import driftline as dl
from driftline.outcomes._ledger import Ledger
from driftline.outcomes._panes import OutcomePanes


def make_ledger(on_pair):
    def fail(*arguments):
        raise AssertionError(arguments)

    return Ledger(dl.OutcomePolicy(), None, fail, fail, on_pair)


@pytest.mark.parametrize("replaced", [False, True])
def test_pairs_of_a_grading_that_is_interrupted_before_the_first_are_all_passed_on(monkeypatch, replaced):
    """The number that was passed on of the grading before must not count for the next one."""
    passed = []
    ledger = make_ledger(lambda output, actual, is_correct: passed.append((output, actual)))
    ledger.add_pairs([("a", "a")] * 3)
    assert passed == [("a", "a")] * 3
    (grading,) = ledger.grade([("b", "b"), ("c", "d"), ("e", "e")])
    if replaced:
        ledger.set_reference(None, None)

    def interrupt(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(OutcomePanes, "close_if_full", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ledger.add_grading(grading, grading.results)
    ledger.add_grading(grading, grading.results)
    assert passed[3:] == [("b", "b"), ("c", "d"), ("e", "e")]
    assert ledger.totals().known == 6


def test_a_pair_is_passed_on_once_if_an_interrupt_comes_between():
    passed = []

    def on_pair(output, actual, is_correct):
        passed.append(output)
        if passed == ["a", "b"]:
            raise KeyboardInterrupt

    ledger = make_ledger(on_pair)
    (grading,) = ledger.grade([("a", "a"), ("b", "b"), ("c", "c")])
    with pytest.raises(KeyboardInterrupt):
        ledger.add_grading(grading, grading.results)
    ledger.add_grading(grading, grading.results)
    assert passed == ["a", "b", "c"]
    assert ledger.totals().known == 3
