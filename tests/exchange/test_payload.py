import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.envelope.fields import ManifestError
from exchange.envelope.payload import MAX_NAME, Payload, is_name

GOOD = Payload("decision.pdf", 81234, "3" * 64, "application/pdf")


@pytest.mark.parametrize(
    "name",
    [
        "24 015 493 decision.pdf",
        "-rf",
        "--checkpoint-action=exec",
        "~$decision.docx",
        ".hidden",
        "...",
        "a\\b",
        "caf\u00e9.pdf",
        "\u4e0a\u8bc9.pdf",
        "x" * MAX_NAME,
        "\u00e9" * 127,
        "\U0001f468\u200d\U0001f469.txt",
        " ",
    ],
)
def test_an_unusual_but_safe_name_is_taken(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../decision.pdf",
        "/etc/passwd",
        "a/b",
        "a\x00b",
        "a\nb",
        "a\rb",
        "\x1b[31m",
        "a\x7f",
        "a\x85b",
        "a\u2028b",
        "a\u2029b",
        "gpj\u202eexe",
        "a\u2066b",
        "a\ud800b",
        "cafe\u0301.pdf",
        "x" * (MAX_NAME + 1),
        "\u00e9" * 128,
    ],
)
def test_a_name_that_could_do_harm_is_refused(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ManifestError) as caught:
        Payload.from_json({**GOOD.to_json(), "name": name})
    assert caught.value.reason == "bad-name"
    assert caught.value.message == "the payload's name is not one that a file can safely have"


@given(st.text())
def test_a_name_that_is_taken_is_one_path_component_in_nfc(name: str) -> None:
    if is_name(name):
        assert "/" not in name
        assert "\0" not in name
        assert 1 <= len(name.encode()) <= MAX_NAME
        assert unicodedata.normalize("NFC", name) == name


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("name", 7, "no name in the right form"),
        ("size", -1, "no size that is an integer"),
        ("size", False, "no size that is an integer"),
        ("size", 2**53, "no size that is an integer"),
        ("sha256", "3" * 63 + "G", "no sha256 in the right form"),
        ("media_type", "pdf", "no media_type in the right form"),
        ("media_type", "text/html\n", "no media_type in the right form"),
        ("media_type", "text/html; charset=utf-8", "no media_type in the right form"),
        ("path", "/tmp", "holds a field that is not known there"),
    ],
)
def test_a_payload_that_says_something_else_is_refused(field: str, value: Any, what: str) -> None:
    with pytest.raises(ManifestError, match=what) as caught:
        Payload.from_json({**GOOD.to_json(), field: value})
    assert caught.value.reason == "bad-manifest"
