"""docs/formats.md: every kind of message is there, and its examples are what the program reads."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from exchange.envelope.manifest import KINDS, Manifest, parse
from exchange.envelope.receipt import Receipt
from keys.announcement import Signed
from ledger import canonical, entry, note, tlogproof
from ledger.checkpoint import parse as parse_checkpoint
from ledger.statement import Statement

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "formats.md").read_text("utf-8")
EXAMPLES: list[dict[str, Any]] = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", PAGE, re.M | re.S)]
CONCERN = next(example for example in EXAMPLES if example.get("kind") == "concern")
WITNESS = next(example for example in EXAMPLES if "checkpoint" in example)
OTHERS = {kind: example for example in EXAMPLES for kind in example if len(example) == 1}
HEAD = ("version", "id", "sender", "recipient", "recipient_key", "created", "expires")


def message(kind: str) -> Manifest:
    """The example of a kind, with the witness block of the page, as a whole manifest."""
    said = CONCERN if kind == "concern" else {name: CONCERN[name] for name in HEAD} | {"kind": kind} | OTHERS[kind]
    return parse(canonical.encode({**said, "witness": WITNESS}))


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_every_kind_is_a_message(kind: str) -> None:
    manifest = message(kind)
    assert manifest.kind == kind
    assert parse(manifest.encode()) == manifest
    rule = "must" if "expires" in KINDS[kind].must else "may"
    assert f"| `{kind}` | `{KINDS[kind].namespace}` | {rule} |" in PAGE


def test_nothing_else_is_shown() -> None:
    assert {*OTHERS, "concern"} == set(KINDS)
    assert len(EXAMPLES) == len(KINDS) + 1


def test_the_receipt_s_proof_holds_and_its_entry_says_what_the_receipt_says() -> None:
    receipt = message("receipt").said
    assert isinstance(receipt, Receipt)
    proof = tlogproof.parse(receipt.proof.encode())
    assert proof.extra is not None
    said = entry.parse(proof.extra)
    assert (said.seq, said.event, said.at, said.handover) == (proof.index, "delivered", receipt.at, receipt.handover)
    assert (said.partner, said.direction, said.envelope_sha256) == ("lgsco", "in", receipt.envelope_sha256)
    assert said.detail["manifest_sha256"] == receipt.manifest_sha256


def test_the_witness_block_holds_the_whole_cosigned_note() -> None:
    statement = Statement.from_json(WITNESS)
    text, signatures = note.split(statement.cosigned.encode())
    assert parse_checkpoint(text).size == statement.seen
    assert [signature.name for signature in signatures] == ["lgsco/handover", "ofsted/witness"]
    assert statement.old < parse_checkpoint(note.split(statement.checkpoint.encode())[0]).size
    assert len(statement.consistency) > 0


def test_the_announcement_is_signed_by_the_old_and_the_new_key() -> None:
    signed = Signed.from_json(OTHERS["announcement"]["announcement"])
    assert len(signed.signers()) == 2
    assert signed.announcement.purpose == "signing"


def test_every_file_that_the_page_names_is_there() -> None:
    named = re.findall(r"`((?:exchange|keys|ledger)/[a-z_]*(?:\.py)?)`", PAGE)
    assert len(named) > 8
    assert [path for path in named if not (ROOT / path).exists()] == []
