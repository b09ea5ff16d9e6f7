"""What a person reads beside a file that the partner refused."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import config.agreement.rules as rules
from exchange import receiver
from exchange.questions import life
from exchange.refusals import meaning
from tests.organisations import CASE, DECISION, Pair


def codes(module: str | None, call: str, at: int | str) -> Iterator[str]:
    """The codes that a module writes out, as the argument `at` of a call."""
    for node in ast.walk(ast.parse(Path(module or "").read_bytes())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == call:
            given: dict[int | str | None, ast.expr] = {keyword.arg: keyword.value for keyword in node.keywords}
            given |= dict(enumerate(node.args))
            if isinstance(code := given[at], ast.Constant):
                yield str(code.value)


ANSWERED = sorted({*codes(receiver.__file__, "NotAccepted", "reason"), *codes(rules.__file__, "Objection", 0)})


@pytest.mark.parametrize("code", ANSWERED)
def test_every_reason_that_we_may_answer_with_has_sentences_of_its_own(code: str) -> None:
    said = meaning(code)
    assert said.why.endswith(f" ({code}).")
    assert said.what_to_do.endswith(".")
    assert said != meaning("something-else")


def test_all_reasons_are_looked_at() -> None:
    assert {"expired", "other-agreement-version", "too-large", "type-not-allowed", "sequence-jump"} <= set(ANSWERED)


@pytest.mark.parametrize(("code", "words"), [(None, "none given"), ("moon-phase", "moon-phase")])
def test_a_reason_of_another_version_is_passed_on_as_it_is(code: str | None, words: str) -> None:
    assert meaning(code).why == f"Their reason: {words}."
    assert meaning(code).what_to_do.startswith("Ask them what to mend")


def test_who_finds_a_refused_file_reads_why_and_what_to_do_beside_it_and_in_its_story(pair: Pair) -> None:
    pair.lgsco.drop(b"decision", f"{CASE} late.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.clock.advance(days=31)
    pair.settle()
    assert pair.lgsco.states() == ["rejected"]
    folder = pair.lgsco.home.held / "ofsted"
    beside = (folder / f"{CASE} late.pdf.why.txt").read_text()
    said = meaning("expired")
    assert "The partner organisation REFUSED this file." in beside
    assert f"  - {said.why}\n" in beside
    assert f"What to do: {said.what_to_do}\n" in beside
    parts = pair.lgsco.parts
    (handover,) = pair.lgsco.handovers()
    story = life(parts.home, parts.ledger, parts.trust, handover.id)
    assert story.hint == f"{said.why} {said.what_to_do}"
    [taken] = pair.ofsted.parts.ledger.handovers(direction="in")
    told = life(pair.ofsted.home, pair.ofsted.parts.ledger, pair.ofsted.parts.trust, taken.id)
    assert told.hint is None
    # and what it says works
    (folder / f"{CASE} late.pdf").rename(pair.lgsco.home.outbound.joinpath(*DECISION, f"{CASE} late.pdf"))
    pair.settle()
    assert pair.lgsco.states() == ["rejected", "acknowledged"]
    assert life(parts.home, parts.ledger, parts.trust, handover.id).hint is None
