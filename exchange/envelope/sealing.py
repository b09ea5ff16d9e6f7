"""Seal and open an envelope: an age file around a tar of the manifest, its signature and the payload, streamed.

    <handover-id>.age = age v1, binary (keys/age), of an uncompressed tar (exchange/envelope/tar.py) of exactly

        manifest.json       exchange/envelope/manifest.py, at most 64 KiB
        manifest.json.sig   SSHSIG, armoured (keys/sshsig.py), in the namespace of the manifest's kind
        manifest.json.pq.sig  the same by a composite key (keys/composite.py); absent where the recipient knows none
        payload             the file's bytes; absent for a message that carries none

Specification: FORMATS 1 (docs/formats.md), C2SP age v1, OpenSSH PROTOCOL.sshsig, POSIX ustar. Stock tools open it:
`age -d -i identity X.age | tar x`, then `ssh-keygen -Y verify … < manifest.json`, then `sha256sum payload`.

Memory does not depend on the size of the payload, in either direction. Sealing reads the payload twice, once for the
digest that goes into the manifest before it, once to encrypt it. Opening is in three steps, and a caller that takes
them in another order is refused: everything before the payload is read, the signature is verified, and only then
does the payload come out. What came out counts only when `copy_payload` has returned: not before the end of the age
file has the size, the digest and the end of everything been seen.

>>> import io
>>> from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
>>> from exchange.envelope.manifest import AgreementRef, Concern
>>> partner, me = age.HybridIdentity.generate(), Ed25519PrivateKey.generate()
>>> manifest = Manifest(
...     kind="concern", id="01a205b3-d000-7000-8000-000000000000", sequence=17, sender="lgsco", recipient="ofsted",
...     recipient_key=age.fingerprint(partner.recipient()), created="2026-11-23T10:15:00.123Z",
...     expires="2026-12-23T10:15:00Z", agreement=AgreementRef("ofsted-lgsco", "2019-12", "0" * 64), payload=None,
...     concern=Concern("E08000025", "upheld-decision", "24 015 493", ("LGA1974_PtIII",), None, None),
...     said=None, witness={})
>>> sealed = io.BytesIO()
>>> said = seal(io.BytesIO(b"upheld"), manifest, name="decision.pdf", media_type="application/pdf",
...     signer=me, recipients=[partner.recipient()], dst=sealed)
>>> opened = open_envelope(io.BytesIO(sealed.getvalue()), [partner])
>>> opened.manifest.payload.name, opened.verify_signature() == sshsig.PublicKey.from_key(me)
('decision.pdf', True)
>>> content = io.BytesIO()
>>> opened.copy_payload(content, limit=1000)[0], content.getvalue(), opened.envelope_sha256 == said.envelope_sha256
(6, b'upheld', True)
"""

import dataclasses
import hashlib
import hmac
import io
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config import agreement
from config.errors import Refused
from exchange.envelope import manifest as manifests
from exchange.envelope import tar
from exchange.envelope.digest import Digest, HashedReader, HashedWriter
from exchange.envelope.manifest import Manifest, Payload
from keys import age, sshsig

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.json.sig"
COMPOSITE: Final = "manifest.json.pq.sig"
PAYLOAD: Final = "payload"

_PIECE: Final = 1024 * 1024
"""What is read at once."""


class EnvelopeError(Refused):
    """What is wrong with an envelope, or with the file that was to be sealed; `reason` says which."""

    reason = "bad-envelope"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was written: the message as it was signed, and the envelope around it."""

    manifest: Manifest
    manifest_bytes: bytes
    manifest_sha256: str
    signature: str
    envelope_sha256: str
    size: int
    """Of the envelope, in bytes."""

    @property
    def payload_sha256(self) -> str:
        """Digest of the payload; empty for a message without one."""
        return self.manifest.payload.sha256 if self.manifest.payload else ""

    @property
    def payload_size(self) -> int:
        """Size of the payload; 0 for a message without one."""
        return self.manifest.payload.size if self.manifest.payload else 0


def seal(
    payload: BinaryIO | None,
    manifest: Manifest,
    *,
    signer: Ed25519PrivateKey | sshsig.Signer,
    recipients: Sequence[age.Recipient],
    dst: BinaryIO,
    composite: sshsig.CompositeSigner | None = None,
    name: str = "",
    media_type: str | None = None,
) -> Sealed:
    """Write the envelope to `dst`; `payload` must be seekable, is read from its beginning, and gets `name` in NFC.

    `composite` signs once more. Without a `media_type` it is the one that the ending of the name stands for.

    Raises EnvelopeError (`file-changed`, `wrong-recipient-key`), ManifestError, AgeError; `dst` then holds something
    that nobody can open.
    """
    if manifest.recipient_key not in map(age.fingerprint, recipients):
        raise EnvelopeError("a manifest names a key that it is not sealed to", reason="wrong-recipient-key")
    with ThreadPoolExecutor(3) as pool:
        if payload is None:
            described = None
        else:
            kind = agreement.media_type(name) if media_type is None else media_type
            described = _describe(payload, unicodedata.normalize("NFC", name), kind, Digest(pool))
        manifest = dataclasses.replace(manifest, payload=described)
        said = manifest.encode()
        signature = sshsig.sign(signer, io.BytesIO(said), manifest.namespace)
        hashed = HashedWriter(dst, pool)
        writer = age.Writer(hashed, recipients)
        # SPEC: FORMATS 1: exactly these members, in this order
        head = _member(MANIFEST, said) + _member(SIGNATURE, signature.encode("ascii"))
        if composite is not None:
            second = sshsig.sign(composite, io.BytesIO(said), manifest.namespace)
            head += _member(COMPOSITE, second.encode("ascii"))
        if payload is not None and described is not None:
            writer.write(head + tar.header(PAYLOAD, described.size))
            _encrypt(payload, described, writer, Digest(pool))
            writer.write(tar.padding(described.size) + tar.END)
        else:
            writer.write(head + tar.END)
        writer.finish()
        hashed.finish()
        return Sealed(
            manifest=manifest,
            manifest_bytes=said,
            manifest_sha256=hashlib.sha256(said).hexdigest(),
            signature=signature,
            envelope_sha256=hashed.digest.hexdigest(),
            size=hashed.size,
        )


def _member(name: str, content: bytes) -> bytes:
    return tar.header(name, len(content)) + content + tar.padding(len(content))


def _describe(payload: BinaryIO, name: str, media_type: str, digest: Digest) -> Payload:
    """The first reading of the file."""
    payload.seek(0)
    size = 0
    while piece := payload.read(_PIECE):
        digest.update(piece)
        size += len(piece)
    return Payload(name, size, digest.hexdigest(), media_type)


def _encrypt(payload: BinaryIO, described: Payload, writer: age.Writer, digest: Digest) -> None:
    """The second reading of the file, which must find the same as the first."""
    payload.seek(0)
    left = described.size
    while left and (piece := payload.read(min(_PIECE, left))):
        digest.update(piece)
        writer.write(piece)
        left -= len(piece)
    # SPEC: FORMATS 1: fails if the two hashes differ
    if payload.read(1) or digest.hexdigest() != described.sha256:
        raise EnvelopeError(
            "file changed while it was being sealed",
            hint="drop it again once the program that writes it has closed it",
            reason="file-changed",
        )


def open_envelope(src: BinaryIO, identities: Sequence[age.Identity]) -> "Opened":
    """Read everything that precedes the payload; no byte of the payload, and nothing in it is to be believed yet.

    Raises AgeError, TarError, ManifestError, EnvelopeError. A message without a payload has been read to its end.
    """
    return Opened(src, identities)


class Opened:
    """An envelope whose manifest is read: `verify_signature`, check what it says, then `copy_payload`."""

    __slots__ = (
        "_drained", "_ended", "_members", "_source", "_verified",
        "composite", "composite_signature", "identity", "manifest", "manifest_bytes", "manifest_sha256", "signature",
        "stanza_types",
    )  # fmt: skip

    def __init__(self, src: BinaryIO, identities: Sequence[age.Identity]) -> None:
        self._source = HashedReader(src)
        self._drained = self._ended = self._verified = False
        reader = age.Reader(self._source, identities)
        # SPEC: FORMATS 1: binary (not armoured)
        if self._source.first != b"a":
            raise EnvelopeError("an envelope is an armoured age file, not a binary one", reason="armoured")
        self.stanza_types: tuple[str, ...] = reader.stanza_types
        self.identity: age.Identity = reader.identity
        self._members = tar.Members(reader)
        self.manifest_bytes = self._small(self._members.next(), MANIFEST, manifests.MAX_BYTES, "manifest-too-large")
        self.manifest_sha256 = hashlib.sha256(self.manifest_bytes).hexdigest()
        self.manifest = manifests.parse(self.manifest_bytes)
        self.signature = self._small(self._members.next(), SIGNATURE, sshsig.MAX_ARMORED, "not-a-signature").decode(
            "latin-1"
        )
        self.composite: sshsig.CompositeKey | None = None
        self.composite_signature: str | None = None
        member = self._members.next()
        if member is not None and member.name == COMPOSITE:
            second = self._small(member, COMPOSITE, sshsig.MAX_COMPOSITE, "not-a-signature")
            self.composite_signature = second.decode("latin-1")
            member = self._members.next()
        if self.manifest.payload is not None:
            self._begin_payload(member, self.manifest.payload)
        else:
            self._check_end(member)

    def verify_signature(self) -> sshsig.PublicKey:
        """The key that signed the manifest for what it is; whose key that is, `keys.trust` knows. SignatureError.

        Where there is a composite signature, it must hold too; `composite` is the key that made it.
        """
        public = sshsig.verify(self.signature, io.BytesIO(self.manifest_bytes), self.manifest.namespace)
        if self.composite_signature is not None:
            said = io.BytesIO(self.manifest_bytes)
            self.composite = sshsig.verify_composite(self.composite_signature, said, self.manifest.namespace)
        self._verified = True
        return public

    def copy_payload(self, dst: BinaryIO, limit: int) -> tuple[int, str]:
        """Write the payload, of at most `limit` bytes, to `dst`; returns its size and SHA-256.

        Nothing is written unless the signature was verified, the manifest names the key that opened the envelope, and
        the size is allowed. What was written before an error (AgeError, TarError, EnvelopeError) counts for nothing.
        """
        payload = self._ready()
        if payload is None or self._ended or self._drained:
            raise EnvelopeError("an envelope has no payload, or none any more", reason="no-payload")
        if payload.size > limit:
            raise EnvelopeError(f"a payload is larger than {limit} bytes", reason="too-large")
        with ThreadPoolExecutor(3) as pool:
            content = HashedWriter(dst, pool)
            self._source.digest.pool = pool
            try:
                while piece := self._members.read(_PIECE):
                    content.write(piece)
                content.finish()
                digest = content.digest.hexdigest()
                if not hmac.compare_digest(digest, payload.sha256):
                    raise EnvelopeError("a payload is not the one that was signed", reason="wrong-digest")
                self._check_end(self._members.next())
            finally:
                self._source.digest.wait()
                self._source.digest.pool = None
        return content.size, digest

    def finish(self) -> None:
        """Confirm a message without a payload: its signature was verified and it names the key that opened it."""
        if self._ready() is not None and not self._ended:
            raise EnvelopeError("an envelope holds a payload that was not read", reason="not-finished")

    def digest_rest(self) -> str:
        """Read what is left, give out nothing of it, and return the digest of the whole envelope."""
        while self._source.read(_PIECE):
            pass
        self._drained = True
        return self._source.digest.hexdigest()

    @property
    def envelope_sha256(self) -> str:
        """Digest of the whole envelope, once all of it has been read."""
        if not (self._ended or self._drained):
            raise EnvelopeError("an envelope was not yet read to its end", reason="not-finished")
        return self._source.digest.hexdigest()

    def _small(self, member: tar.Member | None, name: str, limit: int, reason: str) -> bytes:
        # SPEC: FORMATS 1: exactly these members, in this order; names with a path separator are other names
        if member is None or member.name != name:
            raise EnvelopeError(f"an envelope has no {name} where it must be", reason="wrong-member")
        if member.size > limit:
            raise EnvelopeError(f"the {name} of an envelope is larger than {limit} bytes", reason=reason)
        content = b""
        while piece := self._members.read(limit):
            content += piece
        return content

    @staticmethod
    def _begin_payload(member: tar.Member | None, payload: Payload) -> None:
        if member is None or member.name != PAYLOAD:
            raise EnvelopeError("an envelope has no payload although its manifest describes one", reason="wrong-member")
        if member.size != payload.size:
            raise EnvelopeError("a payload has another size than was signed", reason="wrong-size")

    def _check_end(self, member: tar.Member | None) -> None:
        # SPEC: FORMATS 1: trailing members and a second archive are refused; the last STREAM chunk is seen here
        if member is not None:
            raise EnvelopeError("an envelope holds another member after its last", reason="trailing-member")
        self._ended = True

    def _ready(self) -> Payload | None:
        if not self._verified:
            raise EnvelopeError("the signature of an envelope was not verified yet", reason="not-verified")
        # SPEC: FORMATS 2: signed inner data names the outer recipient's key, against re-encryption to another
        if not hmac.compare_digest(self.manifest.recipient_key, age.fingerprint(self.identity.recipient())):
            raise EnvelopeError("a manifest names another key than the one that opens it", reason="wrong-recipient-key")
        return self.manifest.payload
