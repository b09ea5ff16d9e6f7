import dataclasses
import hashlib
import io
import os
import stat
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.envelope.manifest import Manifest, ManifestError
from exchange.envelope.sealing import EnvelopeError, Sealed, open_envelope, seal
from keys import age, sshsig
from tests.exchange import envelopes
from tests.exchange.envelopes import CONTENT, ME, PARTNER, PARTNER_PQ, RECEIPT, content_of, opened, to_seal
from tests.exchange.test_digest import Full

MIB = 1024 * 1024


def sealed_bytes(
    content: bytes = CONTENT, identity: age.Identity = PARTNER, name: str = "decision.pdf"
) -> tuple[Sealed, bytes]:
    target = io.BytesIO()
    said = seal(
        io.BytesIO(content),
        to_seal(identity),
        signer=ME,
        recipients=[identity.recipient()],
        dst=target,
        name=name,
        media_type="application/pdf",
    )
    return said, target.getvalue()


def sealed_receipt() -> tuple[Sealed, bytes]:
    target = io.BytesIO()
    return seal(None, RECEIPT, signer=ME, recipients=[PARTNER.recipient()], dst=target), target.getvalue()


@pytest.mark.parametrize("identity", [PARTNER, PARTNER_PQ], ids=["x25519", "pq"])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 65536, MIB - 1, MIB, 3 * MIB + 5])
def test_a_file_of_any_size_comes_out_as_it_went_in(identity: age.Identity, size: int) -> None:
    content = os.urandom(size)
    said, envelope = sealed_bytes(content, identity)
    assert content_of(envelope) == content
    message = opened(envelope)
    assert message.manifest == said.manifest
    assert message.manifest_bytes == said.manifest_bytes == said.manifest.encode()
    assert message.manifest_sha256 == said.manifest_sha256 == hashlib.sha256(said.manifest_bytes).hexdigest()
    assert message.signature == said.signature
    assert message.identity is identity
    assert message.stanza_types == (("X25519",) if identity is PARTNER else ("mlkem768x25519",))
    assert said.envelope_sha256 == hashlib.sha256(envelope).hexdigest()
    assert said.size == len(envelope)
    assert (said.payload_size, said.payload_sha256) == (size, hashlib.sha256(content).hexdigest())


@given(st.binary(max_size=3000), st.sampled_from(["a.pdf", "-rf", "caf\u00e9", "x" * 255, "~$x", "\u4e0a", " "]))
def test_content_and_name_come_out_as_they_went_in(content: bytes, name: str) -> None:
    _, envelope = sealed_bytes(content, name=name)
    payload = opened(envelope).manifest.payload
    assert payload is not None
    assert payload.name == name
    assert content_of(envelope) == content


def test_a_name_is_written_in_nfc_and_its_ending_says_the_media_type() -> None:
    target = io.BytesIO()
    said = seal(
        io.BytesIO(CONTENT),
        to_seal(),
        signer=ME,
        recipients=[PARTNER.recipient()],
        dst=target,
        name="cafe\u0301.PDF",
    )
    payload = opened(target.getvalue()).manifest.payload
    assert payload is not None
    assert (payload.name, payload.media_type) == ("caf\u00e9.PDF", "application/pdf")
    assert said.manifest.payload == payload


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\0b", "a\nb", "x" * 256, "\u202etxt.exe", "\ud800"])
def test_a_file_is_not_sealed_under_a_name_that_the_other_side_would_refuse(name: str) -> None:
    target = io.BytesIO()
    with pytest.raises(ManifestError):
        seal(io.BytesIO(CONTENT), to_seal(), signer=ME, recipients=[PARTNER.recipient()], dst=target, name=name)
    assert target.getvalue() == b""


def test_a_receipt_has_no_payload_and_another_namespace() -> None:
    said, envelope = sealed_receipt()
    assert (said.payload_size, said.payload_sha256) == (0, "")
    message = opened(envelope)
    assert message.verify_signature() == sshsig.PublicKey.from_key(ME)
    message.finish()
    assert message.manifest == said.manifest == RECEIPT
    assert message.envelope_sha256 == said.envelope_sha256 == hashlib.sha256(envelope).hexdigest()
    with pytest.raises(EnvelopeError) as caught:
        message.copy_payload(io.BytesIO(), 1000)
    assert caught.value.reason == "no-payload"


def test_the_signature_says_which_key_signed() -> None:
    assert opened(sealed_bytes()[1]).verify_signature() == sshsig.PublicKey.from_key(ME)


def test_no_payload_comes_out_before_the_signature_was_verified() -> None:
    message, target = opened(sealed_bytes()[1]), io.BytesIO()
    with pytest.raises(EnvelopeError) as caught:
        message.copy_payload(target, 1 << 30)
    assert caught.value.reason == "not-verified"
    assert target.getvalue() == b""
    with pytest.raises(EnvelopeError) as caught:
        opened(sealed_receipt()[1]).finish()
    assert caught.value.reason == "not-verified"


def test_opening_reads_no_more_than_the_first_blocks_of_a_large_envelope() -> None:
    _, envelope = sealed_bytes(bytes(8 * MIB))
    source = io.BytesIO(envelope)
    open_envelope(source, [PARTNER]).verify_signature()
    assert source.tell() <= MIB


def test_a_payload_that_is_larger_than_allowed_is_refused_before_it_is_read() -> None:
    _, envelope = sealed_bytes()
    assert content_of(envelope, len(CONTENT)) == CONTENT
    message, target = opened(envelope), io.BytesIO()
    message.verify_signature()
    with pytest.raises(EnvelopeError) as caught:
        message.copy_payload(target, len(CONTENT) - 1)
    assert caught.value.reason == "too-large"
    assert target.getvalue() == b""


def test_a_payload_comes_out_once() -> None:
    message = opened(sealed_bytes()[1])
    message.verify_signature()
    message.copy_payload(io.BytesIO(), 1 << 30)
    message.finish()
    with pytest.raises(EnvelopeError) as caught:
        message.copy_payload(io.BytesIO(), 1 << 30)
    assert caught.value.reason == "no-payload"


def test_a_message_with_a_payload_is_not_finished_before_it_came_out() -> None:
    message = opened(sealed_bytes()[1])
    message.verify_signature()
    with pytest.raises(EnvelopeError) as caught:
        message.finish()
    assert caught.value.reason == "not-finished"
    with pytest.raises(EnvelopeError) as caught:
        _ = message.envelope_sha256
    assert caught.value.reason == "not-finished"


@pytest.mark.parametrize("size", [0, 100, 3 * MIB])
def test_the_digest_of_an_envelope_that_is_not_wanted_can_be_had_without_its_content(size: int) -> None:
    said, envelope = sealed_bytes(bytes(size))
    message = opened(envelope)
    message.verify_signature()
    assert message.digest_rest() == message.digest_rest() == said.envelope_sha256 == message.envelope_sha256
    with pytest.raises(EnvelopeError) as caught:
        message.copy_payload(io.BytesIO(), 1 << 30)
    assert caught.value.reason == "no-payload"
    with pytest.raises(EnvelopeError) as caught:
        message.finish()
    assert caught.value.reason == "not-finished"


def test_the_digest_of_an_envelope_whose_payload_is_wrong_can_still_be_had() -> None:
    envelope = bytearray(sealed_bytes(bytes(3 * MIB))[1])
    envelope[-MIB] ^= 1
    message = opened(bytes(envelope))
    message.verify_signature()
    with pytest.raises(age.PayloadFailure):
        message.copy_payload(io.BytesIO(), 1 << 30)
    assert message.digest_rest() == hashlib.sha256(envelope).hexdigest()


class Changing(io.BytesIO):
    """A file that somebody changes after it was read for the first time."""

    def __init__(self, before: bytes, after: bytes) -> None:
        super().__init__(before)
        self._after: bytes | None = after
        self._began = False

    def seek(self, position: int, whence: int = 0, /) -> int:
        if self._began and self._after is not None:
            self.truncate(0)
            super().seek(0)
            self.write(self._after)
            self._after = None
        self._began = True
        return super().seek(position, whence)


@pytest.mark.parametrize("size", [100, 3 * MIB])
@pytest.mark.parametrize(
    "change",
    [
        lambda b: b[:-1],
        lambda b: b"",
        lambda b: b + b"x",
        lambda b: b"X" + b[1:],
        lambda b: b[:-1] + b"X",
    ],
    ids=["shorter", "emptied", "longer", "first byte", "last byte"],
)
def test_a_file_that_changes_while_it_is_sealed_is_refused_and_nothing_openable_is_left(
    change: Callable[[bytes], bytes], size: int
) -> None:
    before = bytes(size)
    target = io.BytesIO()
    with pytest.raises(EnvelopeError, match="file changed while it was being sealed") as caught:
        seal(
            Changing(before, change(before)),
            to_seal(),
            signer=ME,
            recipients=[PARTNER.recipient()],
            dst=target,
            name="decision.pdf",
        )
    assert caught.value.reason == "file-changed"
    with pytest.raises(age.AgeError):
        content_of(target.getvalue())


def test_the_file_is_read_from_its_beginning() -> None:
    source, target = io.BytesIO(CONTENT), io.BytesIO()
    source.seek(7)
    seal(source, to_seal(), signer=ME, recipients=[PARTNER.recipient()], dst=target, name="a.pdf")
    assert content_of(target.getvalue()) == CONTENT


def test_a_manifest_that_names_a_key_it_is_not_sealed_to_is_not_sealed() -> None:
    target = io.BytesIO()
    with pytest.raises(EnvelopeError) as caught:
        seal(io.BytesIO(CONTENT), to_seal(PARTNER_PQ), signer=ME, recipients=[PARTNER.recipient()], dst=target)
    assert caught.value.reason == "wrong-recipient-key"
    assert target.getvalue() == b""


def test_strong_and_weak_recipients_are_not_mixed() -> None:
    with pytest.raises(age.InvalidKey):
        seal(
            io.BytesIO(CONTENT),
            to_seal(),
            signer=ME,
            recipients=[PARTNER.recipient(), PARTNER_PQ.recipient()],
            dst=io.BytesIO(),
            name="a.pdf",
        )


def test_a_receipt_is_not_sealed_with_a_file_nor_a_concern_without() -> None:
    with pytest.raises(ManifestError, match="of kind receipt has a payload"):
        seal(io.BytesIO(b"x"), RECEIPT, signer=ME, recipients=[PARTNER.recipient()], dst=io.BytesIO(), name="a")
    with pytest.raises(ManifestError, match="of kind concern has no payload"):
        seal(None, to_seal(), signer=ME, recipients=[PARTNER.recipient()], dst=io.BytesIO())
    with pytest.raises(ManifestError, match="of kind concern has no payload"):
        seal(None, envelopes.concern(), signer=ME, recipients=[PARTNER.recipient()], dst=io.BytesIO())


@pytest.mark.parametrize("size", [1000, 5 * MIB])
def test_a_full_disk_is_reported_as_what_it_is(size: int) -> None:
    with pytest.raises(OSError, match="No space left"):
        seal(io.BytesIO(bytes(size)), to_seal(), signer=ME, recipients=[PARTNER.recipient()], dst=Full(500), name="a")
    message = opened(sealed_bytes(bytes(size))[1])
    message.verify_signature()
    with pytest.raises(OSError, match="No space left"):
        message.copy_payload(Full(500), 1 << 30)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(size: int) -> int:
        source, envelope = tmp_path / "source", tmp_path / "envelope"
        with source.open("wb") as sparse:
            sparse.truncate(size)
        tracemalloc.start()
        with source.open("rb") as src, envelope.open("wb") as dst:
            seal(src, to_seal(), signer=ME, recipients=[PARTNER.recipient()], dst=dst, name="a")
        with envelope.open("rb") as src, (tmp_path / "content").open("wb") as dst:
            message = open_envelope(src, [PARTNER])
            message.verify_signature()
            message.copy_payload(dst, 1 << 30)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (tmp_path / "content").stat().st_size == size
        assert stat.S_ISREG(envelope.stat().st_mode)
        return highest

    small, large = peak(8 * MIB), peak(64 * MIB)
    assert large < small + MIB
    assert large < 16 * MIB


def test_the_caller_s_manifest_is_not_changed() -> None:
    manifest: Manifest = to_seal()
    before = dataclasses.replace(manifest)
    seal(io.BytesIO(CONTENT), manifest, signer=ME, recipients=[PARTNER.recipient()], dst=io.BytesIO(), name="a")
    assert manifest == before
    assert manifest.payload is None
