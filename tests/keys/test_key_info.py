"""The public half of a key of ours: strict, and in agreement with itself."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import key_info
from keys.key_info import InfoError, Purpose
from ledger import canonical
from tests.keys.cards import PQ, X25519, public, vkey

NOW = datetime(2026, 11, 24, 9, 30, 0, 999999, tzinfo=UTC)
PUBLICS: dict[Purpose, str] = {
    "signing": public("signing").line,
    "encryption": PQ,
    "transport": public("transport").line,
    "ledger": vkey("lgsco/handover", 1, public("ledger").raw),
    "witness": vkey("lgsco/witness", 4, public("witness").raw),
}
GOOD = key_info.describe("signing", 3, PUBLICS["signing"], created=NOW, valid_from=NOW, valid_until=NOW + timedelta(1))


@pytest.mark.parametrize("purpose", PUBLICS)
def test_each_purpose_goes_back_to_the_same_bytes(purpose: Purpose) -> None:
    info = key_info.describe(purpose, 1, PUBLICS[purpose], created=NOW, valid_from=NOW)
    assert key_info.parse(info.encode()) == info
    assert info.valid_until is None
    assert info.fingerprint.startswith("SHA256:")


@pytest.mark.parametrize(("recipient", "algorithm"), [(PQ, "mlkem768x25519"), (X25519, "x25519")], ids=["pq", "x25519"])
def test_only_a_hybrid_recipient_is_post_quantum(recipient: str, algorithm: str) -> None:
    info = key_info.describe("encryption", 1, recipient, created=NOW, valid_from=NOW)
    assert (info.algorithm, info.post_quantum) == (algorithm, algorithm == "mlkem768x25519")


def test_validity_is_told_to_the_second_and_ends_just_before_its_end() -> None:
    assert (GOOD.valid_from, GOOD.valid_until) == ("2026-11-24T09:30:00.000Z", "2026-11-25T09:30:00.000Z")
    end = NOW.replace(microsecond=0) + timedelta(1)
    assert not GOOD.begins_after(NOW.replace(microsecond=0))
    assert GOOD.begins_after(NOW.replace(microsecond=0) - timedelta(microseconds=1))
    assert GOOD.ended_by(end)
    assert not GOOD.ended_by(end - timedelta(microseconds=1))


@pytest.mark.parametrize("until", [NOW, NOW - timedelta(1), NOW.replace(microsecond=0)])
def test_a_key_that_ends_before_it_begins_is_refused(until: datetime) -> None:
    with pytest.raises(InfoError, match="end before it begins"):
        key_info.describe("signing", 1, PUBLICS["signing"], created=NOW, valid_from=NOW, valid_until=until)


@pytest.mark.parametrize(
    ("purpose", "text"),
    [
        ("signing", ""),
        ("signing", PUBLICS["signing"] + " comment"),
        ("signing", PUBLICS["ledger"]),
        ("encryption", PUBLICS["signing"]),
        ("encryption", PQ.upper()),
        ("ledger", PUBLICS["signing"]),
        ("ledger", PUBLICS["witness"]),
        ("witness", PUBLICS["ledger"]),
        ("ledger", vkey("lgsco/handover", 1, bytes(32))),
    ],
)
def test_a_public_half_for_another_purpose_is_refused(purpose: Purpose, text: str) -> None:
    with pytest.raises(InfoError, match="public half"):
        key_info.describe(purpose, 1, text, created=NOW, valid_from=NOW)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"purpose": "cooking"}, "which key"),
        ({"purpose": 1}, "which key"),
        ({"purpose": ["signing"]}, "which key"),
        ({"serial": 0}, "which key"),
        ({"serial": True}, "which key"),
        ({"serial": "1"}, "which key"),
        ({"public": None}, "which key"),
        ({"created": None}, "when its key is valid"),
        ({"valid_from": "yesterday"}, "when its key is valid"),
        ({"valid_until": 5}, "when its key is valid"),
        ({"valid_from": "2026-11-24T09:30:00.500Z"}, "does not agree"),
        ({"valid_from": "2026-11-24T09:30:00Z"}, "does not agree"),
        ({"v": 2}, "does not agree"),
        ({"unknown": 1}, "does not agree"),
        ({"algorithm": "rsa"}, "does not agree"),
        ({"post_quantum": True}, "does not agree"),
        ({"fingerprint": public("other").fingerprint}, "does not agree"),
        ({"public": public("other").line}, "does not agree"),
    ],
)
def test_a_file_that_says_something_else_is_refused(changes: dict[str, canonical.Json], words: str) -> None:
    fields = canonical.decode(GOOD.encode(), limit=9999) | changes
    with pytest.raises(InfoError, match=words):
        key_info.parse(canonical.encode(fields))


def test_a_file_that_is_too_long_or_not_canonical_is_refused() -> None:
    for data in (GOOD.encode() + b" " * 9000, GOOD.encode() + b"\n", b"[]", b"", b"\xff"):
        with pytest.raises(InfoError, match="not canonical"):
            key_info.parse(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(canonical.decode(GOOD.encode(), limit=9999))), _JSON))
def test_values_of_any_shape_are_refused_or_go_back(changes: dict[str, canonical.Json]) -> None:
    data = canonical.encode(canonical.decode(GOOD.encode(), limit=9999) | changes)
    try:
        back = key_info.parse(data).encode()
    except InfoError:
        back = data
    assert back == data
