"""The published age vectors: each file has the outcome that it names, every layer goes back to the same bytes."""

import hashlib
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from keys import age
from keys.age import header, stream
from keys.age.source import Source

FOLDER = Path(__file__).parent / "vectors" / "age"
DIGEST = "ea1db2e2b7fa32b23924ad1adf89ec0068697e3fff620f91cf87b8929741ea87"
OUTCOMES: dict[str, type[age.AgeError] | None] = {
    "success": None,
    "no match": age.NoMatch,
    "HMAC failure": age.HMACFailure,
    "header failure": age.HeaderFailure,
    "payload failure": age.PayloadFailure,
    "armor failure": age.ArmorFailure,
}


@dataclass(frozen=True)
class Vector:
    """One file: what is to be tried on `file`, and what is to come of it."""

    expect: str
    payload: str | None
    file_key: bytes
    armored: bool
    identities: tuple[age.Identity, ...]
    file: bytes


def load(path: Path) -> Vector:
    head, _, file = path.read_bytes().partition(b"\n\n")
    fields: dict[str, str] = {}
    identities: list[age.Identity] = []
    for line in head.decode().splitlines():
        key, _, value = line.partition(": ")
        if key == "identity":
            identities.append(age.parse_identity(value))
        elif key == "passphrase":
            identities.append(age.ScryptIdentity(value))
        else:
            assert key in {"expect", "payload", "file key", "armored", "compressed", "comment"}, key
            fields[key] = value
    assert fields.get("compressed", "zlib") == "zlib"
    return Vector(
        fields["expect"],
        fields.get("payload"),
        bytes.fromhex(fields.get("file key", "")),
        fields.get("armored") == "yes",
        tuple(identities),
        zlib.decompress(file) if "compressed" in fields else file,
    )


PATHS = [path for path in sorted(FOLDER.iterdir()) if path.suffix == "" and not path.name.startswith(".")]
VECTORS = {path.name: load(path) for path in PATHS}


class Dribble:
    """A source that gives at most `step` bytes at a time and has nothing but `read`, like a slow connection."""

    def __init__(self, data: bytes, step: int) -> None:
        self._rest = io.BytesIO(data)
        self._step = step

    def read(self, n: int, /) -> bytes:
        return self._rest.read(min(n, self._step))


def test_the_vectors_are_the_published_ones_and_all_are_there() -> None:
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in PATHS)
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == DIGEST
    assert len(PATHS) == 143
    assert {vector.expect for vector in VECTORS.values()} == set(OUTCOMES)


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_has_its_outcome_and_gives_out_exactly_its_plaintext(name: str) -> None:
    vector, opened = VECTORS[name], io.BytesIO()
    expected = OUTCOMES[vector.expect]
    if expected is None:
        age.decrypt(io.BytesIO(vector.file), opened, vector.identities)
    else:
        with pytest.raises(age.AgeError) as caught:
            age.decrypt(io.BytesIO(vector.file), opened, vector.identities)
        assert type(caught.value) is expected, caught.value
    if vector.payload is not None:
        assert hashlib.sha256(opened.getvalue()).hexdigest() == vector.payload


@pytest.mark.parametrize("name", [name for name in VECTORS if not name.startswith("scrypt")])
def test_a_vector_has_its_outcome_also_when_it_arrives_in_small_pieces(name: str) -> None:
    vector, opened = VECTORS[name], io.BytesIO()
    expected = OUTCOMES[vector.expect]
    step = 7 if len(vector.file) < 4096 else 4099
    if expected is None:
        age.decrypt(Dribble(vector.file, step), opened, vector.identities)
    else:
        with pytest.raises(expected):
            age.decrypt(Dribble(vector.file, step), opened, vector.identities)
    if vector.payload is not None:
        assert hashlib.sha256(opened.getvalue()).hexdigest() == vector.payload


@pytest.mark.parametrize(
    "name", [name for name, v in VECTORS.items() if not v.armored and v.expect != "header failure"]
)
def test_a_header_that_parses_goes_back_to_the_same_bytes(name: str) -> None:
    file = VECTORS[name].file
    source = Source(io.BytesIO(file))
    encoded = header.read(source).encode()
    assert encoded + source.take(len(file)) == file
    assert header.parse(encoded).encode() == encoded


@pytest.mark.parametrize("name", [name for name, v in VECTORS.items() if not v.armored and v.expect == "success"])
def test_a_payload_encrypted_again_with_the_same_keys_has_the_same_bytes(name: str) -> None:
    vector = VECTORS[name]
    source = Source(io.BytesIO(vector.file))
    header.read(source)
    key = stream.payload_key(vector.file_key, source.take(stream.NONCE_SIZE))
    payload = source.take(len(vector.file))
    opener, plain = stream.Opener(Source(io.BytesIO(payload)), key), bytearray()
    while block := opener.block():
        plain += block
    again = io.BytesIO()
    sealer = stream.Sealer(again, key)
    sealer.write(plain)
    sealer.finish()
    assert again.getvalue() == payload


@pytest.mark.parametrize("name", [name for name, v in VECTORS.items() if v.armored and v.expect != "armor failure"])
def test_armour_that_decodes_goes_back_to_the_same_text_but_for_line_ends_and_outer_white_space(name: str) -> None:
    file = VECTORS[name].file
    reader, again = age.ArmorReader(Source(io.BytesIO(file))), io.BytesIO()
    writer = age.ArmorWriter(again)
    while data := reader.read(50):
        writer.write(data)
    writer.finish()
    assert again.getvalue() == file.replace(b"\r\n", b"\n").strip() + b"\n"
