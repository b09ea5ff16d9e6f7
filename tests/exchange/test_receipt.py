import dataclasses
from typing import Any

import pytest
from hypothesis import given

from exchange.envelope.fields import ManifestError
from exchange.envelope.receipt import Receipt
from tests.exchange.messages import RECEIPT, receipts


@given(receipts)
def test_a_receipt_reads_back_as_it_was(receipt: Receipt) -> None:
    assert Receipt.from_json(receipt.to_json()) == receipt


@pytest.mark.parametrize("field", sorted(RECEIPT.to_json()))
def test_a_receipt_without_one_of_its_fields_is_refused(field: str) -> None:
    value = {name: item for name, item in RECEIPT.to_json().items() if name != field}
    with pytest.raises(ManifestError) as caught:
        Receipt.from_json(value)
    assert caught.value.reason == "bad-receipt"


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("handover", "24 015 493", "names no handover id"),
        ("manifest_sha256", "A" * 64, "no manifest_sha256 in the right form"),
        ("envelope_sha256", "0" * 63, "no envelope_sha256 in the right form"),
        ("outcome", "uploaded", "no outcome in the right form"),
        ("outcome", None, "no outcome in the right form"),
        ("at", "2026-11-23 10:16", "no at that is a time"),
        ("at", "2026-02-30T10:16:02Z", "no at that is a time"),
        ("entry", -1, "no entry that is an integer"),
        ("entry", True, "no entry that is an integer"),
        ("entry", 2**53, "no entry that is an integer"),
        ("entry", "7", "no entry that is an integer"),
        ("proof", "", "no proof in the right form"),
        ("colour", "red", "holds a field that is not known there"),
    ],
)
def test_a_receipt_that_says_something_else_is_refused(field: str, value: Any, what: str) -> None:
    with pytest.raises(ManifestError, match=what) as caught:
        Receipt.from_json({**RECEIPT.to_json(), field: value})
    assert caught.value.reason == "bad-receipt"


def test_a_delivery_has_no_reason() -> None:
    with pytest.raises(ManifestError, match="no reason in the right form"):
        Receipt.from_json(dataclasses.replace(RECEIPT, reason="no-agreement").to_json())


@pytest.mark.parametrize("reason", ["", "No agreement", "-x", "a" * 65, "decision.pdf"])
def test_a_rejection_has_a_code_as_its_reason(reason: str) -> None:
    with pytest.raises(ManifestError, match="no reason in the right form"):
        Receipt.from_json(dataclasses.replace(RECEIPT, outcome="rejected", reason=reason).to_json())


def test_a_receipt_that_is_no_object_is_refused() -> None:
    with pytest.raises(ManifestError, match="a receipt is not an object"):
        Receipt.from_json("delivered")
