import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.envelope.manifest import KINDS, MAX_BYTES, MAX_GATEWAYS, Concern, Manifest, ManifestError, parse
from ledger import canonical
from tests.exchange.messages import (
    CONCERN,
    ID,
    RECEIPT_MESSAGE,
    REQUEST_MESSAGE,
    SAMPLES,
    TO_SEAL,
    changed,
    concerns,
    control_messages,
)


def refused(data: bytes) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        parse(data)
    return caught.value


@given(concerns | control_messages)
def test_a_manifest_reads_back_as_it_was_and_has_one_spelling(manifest: Manifest) -> None:
    data = manifest.encode()
    assert parse(data) == manifest
    assert parse(data).encode() == data


@given(st.binary(max_size=200) | st.from_regex(rb'\{("[a-z]{1,9}":("x"|1|\{\}),?){0,9}\}', fullmatch=True))
def test_any_bytes_are_a_manifest_that_goes_back_or_are_refused(data: bytes) -> None:
    try:
        manifest = parse(data)
    except ManifestError:
        return
    assert manifest.encode() == data


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_paths = [(kind, path) for kind, m in SAMPLES.items() for path in [(), *[(f,) for f in m.to_json()]]]


@given(st.sampled_from(_paths), st.data())
def test_any_json_in_any_place_is_a_manifest_that_goes_back_or_is_refused(
    where: tuple[str, tuple[str, ...]], data: st.DataObject
) -> None:
    kind, path = where
    value: Any = canonical.decode(SAMPLES[kind].encode(), limit=MAX_BYTES)
    inner = value
    for name in path:
        inner = inner[name] if isinstance(inner[name], dict) else inner
    inner[data.draw(st.sampled_from(sorted(inner) or ["x"]))] = data.draw(_json)
    spoilt = canonical.encode(value)
    try:
        manifest = parse(spoilt)
    except ManifestError:
        return
    assert manifest.encode() == spoilt


def test_there_is_a_sample_of_every_kind() -> None:
    assert set(SAMPLES) == set(KINDS)


def test_each_kind_is_signed_in_its_own_namespace() -> None:
    assert CONCERN.namespace == "manifest@handover"
    assert RECEIPT_MESSAGE.namespace == "receipt@handover"
    assert len({kind.namespace for kind in KINDS.values()}) == len(KINDS)


def test_an_unknown_version_is_refused_before_anything_else_is_read() -> None:
    assert refused(b'{"version":"handover/2"}').reason == "unknown-version"
    assert refused(changed(CONCERN, version="handover/1.0")).reason == "unknown-version"


def test_an_unknown_kind_is_refused() -> None:
    assert refused(changed(CONCERN, kind="gossip")).reason == "unknown-kind"
    with pytest.raises(ManifestError) as caught:
        _ = dataclasses.replace(CONCERN, kind="gossip").namespace
    assert caught.value.reason == "unknown-kind"


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, m in SAMPLES.items() for field in sorted(m.to_json())]
)
def test_a_manifest_without_one_of_its_fields_is_refused(kind: str, field: str) -> None:
    assert refused(changed(SAMPLES[kind], **{field: ...})).reason in ("bad-manifest", "unknown-version", "unknown-kind")


@pytest.mark.parametrize("field", ["sequence", "agreement", "payload", "concern"])
def test_a_receipt_with_a_field_of_a_concern_is_refused(field: str) -> None:
    problem = refused(changed(RECEIPT_MESSAGE, **{field: CONCERN.to_json()[field]}))
    assert problem.message == f"a manifest of kind receipt has a {field}"


def test_a_message_that_says_what_another_kind_says_is_refused() -> None:
    assert refused(changed(REQUEST_MESSAGE, kind="absence")).message == "a manifest of kind absence has a request"
    both = changed(REQUEST_MESSAGE, receipt=RECEIPT_MESSAGE.to_json()["receipt"])
    assert refused(both).message == "a manifest of kind request has a receipt"


def test_a_concern_with_a_receipt_is_refused() -> None:
    assert refused(changed(CONCERN, receipt=RECEIPT_MESSAGE.to_json()["receipt"])).message.endswith("has a receipt")


@pytest.mark.parametrize(
    ("path", "field", "value", "what"),
    [
        ((), "id", "01a205b3-d000-4000-8000-000000000000", "no id that is a UUIDv7"),
        ((), "id", ID.upper(), "no id that is a UUIDv7"),
        ((), "sequence", 0, "no sequence"),
        ((), "sequence", True, "no sequence"),
        ((), "sender", "Ofsted", "no sender"),
        ((), "sender", "../ofsted", "no sender"),
        ((), "recipient", "x" * 33, "no recipient"),
        ((), "recipient_key", "SHA256:", "no recipient_key"),
        ((), "recipient_key", "A" * 50, "no recipient_key"),
        ((), "created", "2026-11-23T10:15:00.123+00:00", "no created"),
        ((), "expires", "2026-11-23T10:15:00.123Z", "expires before it was created"),
        ((), "witness", None, "no witness that is an object"),
        ((), "witness", [], "no witness that is an object"),
        ((), "colour", "red", "not known there"),
        (("agreement",), "id", "", "no id"),
        (("agreement",), "sha256", "2" * 65, "no sha256"),
        (("agreement",), "colour", "red", "not known there"),
        (("payload",), "size", -1, "no size"),
        (("concern",), "authority", "Birmingham", "no authority"),
        (("concern",), "authority", "E0800002٥", "no authority"),
        (("concern",), "category", "Upheld decision", "no category"),
        (("concern",), "reference", None, "no reference"),
        (("concern",), "reference", "24 015 493\n", "no reference"),
        (("concern",), "gateways", "LGA1974_PtIII", "no gateways that is a list"),
        (("concern",), "gateways", ["LGA 1974"], "an item in gateways"),
        (("concern",), "gateways", [7], "an item in gateways"),
        (("concern",), "gateways", ["X"] * (MAX_GATEWAYS + 1), "no gateways that is a list"),
        (("concern",), "event_date", "2026-02-30", "a day in event_date that does not exist"),
        (("concern",), "event_date", "20261120", "no event_date"),
        (("concern",), "embargo_until", None, "no embargo_until"),
        (("concern",), "colour", "red", "not known there"),
    ],
)
def test_a_concern_that_says_something_else_is_refused(
    path: tuple[str, ...], field: str, value: Any, what: str
) -> None:
    with pytest.raises(ManifestError, match=what) as caught:
        parse(changed(CONCERN, *path, **{field: value}))
    assert caught.value.reason == "bad-manifest"


def test_a_manifest_of_64_kib_is_read_and_one_byte_more_is_refused() -> None:
    room = MAX_BYTES - len(dataclasses.replace(CONCERN, witness={"pad": ""}).encode())
    full = dataclasses.replace(CONCERN, witness={"pad": "x" * room}).encode()
    assert len(full) == 64 * 1024
    assert parse(full).encode() == full
    assert refused(full.replace(b'"pad":"', b'"pad":"x')).reason == "manifest-too-large"
    with pytest.raises(ManifestError) as caught:
        dataclasses.replace(CONCERN, witness={"pad": "x" * (room + 1)}).encode()
    assert caught.value.reason == "manifest-too-large"


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda b: b.replace(b'"kind":', b'"id":"x","kind":'), "canonical form"),
        (lambda b: b.replace(b'"kind":"concern"', b'"kind":"concern","kind":"concern"'), "canonical form"),
        (lambda b: b.replace(b'"sequence":17', b'"sequence":17.0'), "not an integer"),
        (lambda b: b.replace(b'"sequence":17', b'"sequence":1e1'), "not an integer"),
        (lambda b: b.replace(b'"sequence":17', b'"sequence":NaN'), "not an integer"),
        (lambda b: b.replace(b'"sequence":17', b'"sequence":-Infinity'), "not an integer"),
        (lambda b: b.replace(b'"sequence":17', b'"sequence":' + b"9" * 5000), "bytes are not JSON"),
        (lambda b: b.replace(b'"old":0', b'"old":' + b"[" * 30000 + b"]" * 30000), "nested deeper"),
        (lambda b: b.replace(b'"old":0', b'"old":"\\ud800"'), "cannot be written as canonical"),
        (lambda b: b.replace(b"decision.pdf", b"decision\xff.pdf"), "bytes are not JSON"),
        (lambda b: b + b"\n", "canonical form"),
        (lambda b: b"\xef\xbb\xbf" + b, "bytes are not JSON"),
        (lambda b: b + b, "bytes are not JSON"),
        (lambda b: b[:-1], "bytes are not JSON"),
        (lambda b: json.dumps(json.loads(b)).encode(), "canonical form"),
        (lambda b: b"[" + b + b"]", "not an object"),
        (lambda b: b"", "bytes are not JSON"),
    ],
)
def test_bytes_that_are_not_the_one_canonical_spelling_are_refused(spoil: Any, what: str) -> None:
    data = CONCERN.encode()
    assert spoil(data) != data
    problem = refused(spoil(data))
    assert problem.reason == "not-canonical"
    assert what in problem.message


def test_a_concern_that_has_no_payload_yet_cannot_be_encoded() -> None:
    with pytest.raises(ManifestError, match="of kind concern has no payload"):
        TO_SEAL.encode()


def test_what_parse_would_refuse_cannot_be_encoded() -> None:
    with pytest.raises(ManifestError, match="no authority"):
        dataclasses.replace(CONCERN, concern=Concern("Leeds", "upheld-decision", None, (), None, None)).encode()
    with pytest.raises(ManifestError, match="a value that JSON cannot"):
        dataclasses.replace(CONCERN, witness={"old": 2**60}).encode()
    with pytest.raises(ManifestError, match="a value that JSON cannot"):
        dataclasses.replace(CONCERN, witness={"old": "\ud800"}).encode()


def test_no_error_repeats_what_the_manifest_holds() -> None:
    problem = refused(changed(CONCERN, "concern", reference="Ann Example\n"))
    assert "Ann" not in problem.for_people()
