"""The place of a key in a token is written in one way, and read in no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.token_uri import ID_BYTES, BadUri, TokenUri, parse

PLACE = TokenUri("handover", "a36c8b41", "lgsco signing key 2", bytes(range(ID_BYTES)))
labels = st.text(st.characters(exclude_categories=["Cs"]), max_size=32)


def read(text: str) -> str | None:
    """What was read, written again; None if it was refused."""
    try:
        return str(parse(text))
    except BadUri:
        return None


@given(labels, labels, labels, st.binary(min_size=ID_BYTES, max_size=ID_BYTES))
def test_what_is_written_is_read_as_it_was(token: str, serial: str, label: str, identity: bytes) -> None:
    place = TokenUri(token, serial, label, identity)
    assert parse(str(place)) == place


@given(st.text())
def test_any_text_is_a_place_or_is_refused(text: str) -> None:
    assert read(text) in (None, text)


@given(st.data())
def test_a_place_with_one_character_changed_is_another_one_or_none(data: st.DataObject) -> None:
    text = str(PLACE)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(max_codepoint=127).filter(lambda one: one != text[at]))
    changed = text[:at] + other + text[at + 1 :]
    assert read(changed) in (None, changed)
    assert read(changed) != text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pkcs11:",
        f"{PLACE}\n",
        f" {PLACE}",
        f"{PLACE}?pin-value=1234",
        f"{PLACE}?pin-source=file:/etc/pin",
        f"{PLACE}?module-path=/tmp/evil.so",
        f"{PLACE};slot-id=1",
        str(PLACE).replace("type=private", "type=public"),
        str(PLACE).replace("%0A", "%0a"),
        str(PLACE).replace("%0F", ""),
        str(PLACE).replace("handover", "h%61ndover"),
        str(PLACE).replace("handover", "hand over"),
        str(PLACE).replace("handover", "%FF"),
        str(PLACE).replace("PKCS11:".lower(), "PKCS11:"),
        str(PLACE).replace("handover", "x" * 1024),
    ],
)
def test_another_spelling_and_a_way_to_a_pin_or_a_module_are_refused(text: str) -> None:
    with pytest.raises(BadUri):
        parse(text)
