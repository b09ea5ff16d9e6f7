"""An envelope needs no Handover: stock tools open ours, and we open what stock tools make by the rules."""

import dataclasses
import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from exchange.envelope.manifest import Manifest, Payload
from exchange.envelope.sealing import seal
from exchange.envelope.tar import HEADER_LIMIT, RECORD, Member, Members, header
from keys import sshsig
from tests.exchange.envelopes import CONTENT, ME, PARTNER, RECEIPT, content_of, encrypted, opened, signature, to_seal

NAMES = ["manifest.json", "manifest.json.sig", "payload"]
GNU_TAR = "tar --format=ustar --owner=0 --group=0 --numeric-owner --mode=0600 --mtime=@0"


def shell(folder: Path, command: str) -> str:
    """Run what FORMATS 1 says in `folder`; a failure of any part of it fails the test."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-ec", command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a partner without Handover has: an age identity, and who may sign."""
    (tmp_path / "identity").write_text(f"{PARTNER}\n")
    (tmp_path / "recipient").write_text(f"{PARTNER.recipient()}\n")
    key = sshsig.PublicKey.from_key(ME).line
    (tmp_path / "allowed_signers").write_text(f'lgsco namespaces="manifest@handover" {key}\n')
    return tmp_path


def seal_to(path: Path, content: bytes | None, manifest: Manifest) -> None:
    with path.open("wb") as target:
        source = None if content is None else io.BytesIO(content)
        seal(source, manifest, signer=ME, recipients=[PARTNER.recipient()], dst=target, name="decision.pdf")


@pytest.mark.parametrize("size", [0, 1, 512, 65536, 5_000_000])
def test_stock_tools_open_and_verify_an_envelope(folder: Path, size: int) -> None:
    content = os.urandom(size)
    seal_to(folder / "X.age", content, to_seal())
    listing = shell(folder, "age -d -i identity X.age | tar tv")
    assert [line.split()[0] + " " + line.split()[-1] for line in listing.splitlines()] == [
        f"-rw------- {name}" for name in NAMES
    ]
    shell(folder, "age -d -i identity X.age | tar x")
    assert shell(
        folder,
        "ssh-keygen -Y verify -f allowed_signers -I lgsco -n manifest@handover -s manifest.json.sig < manifest.json",
    ).startswith('Good "manifest@handover" signature for lgsco with ED25519 key SHA256:')
    manifest = opened((folder / "X.age").read_bytes()).manifest
    assert (folder / "manifest.json").read_bytes() == manifest.encode()
    assert manifest.payload is not None
    assert shell(folder, "sha256sum payload") == f"{manifest.payload.sha256}  payload\n"
    assert (folder / "payload").read_bytes() == content


def test_stock_tools_open_and_verify_a_receipt(folder: Path) -> None:
    seal_to(folder / "X.age", None, RECEIPT)
    shell(folder, "age -d -i identity X.age | tar x")
    shell(folder, "sed -i s/manifest@handover/receipt@handover/ allowed_signers")
    shell(
        folder,
        "ssh-keygen -Y verify -f allowed_signers -I lgsco -n receipt@handover -s manifest.json.sig < manifest.json",
    )
    assert not (folder / "payload").exists()


def test_pythons_tarfile_opens_an_envelope(folder: Path) -> None:
    seal_to(folder / "X.age", CONTENT, to_seal())
    shell(folder, "age -d -i identity X.age > X.tar")
    with tarfile.open(folder / "X.tar", format=tarfile.USTAR_FORMAT) as read:
        assert read.getnames() == NAMES


def write_members(folder: Path, content: bytes) -> None:
    """The three files that a partner without Handover would put together."""
    digest = hashlib.sha256(content).hexdigest()
    payload = Payload("decision.pdf", len(content), digest, "application/pdf")
    said = dataclasses.replace(to_seal(), payload=payload).encode()
    (folder / "manifest.json").write_bytes(said)
    (folder / "payload").write_bytes(content)
    (folder / "manifest.json.sig").write_bytes(signature(said))


@pytest.mark.parametrize("size", [0, 1, 6000, 70_000, 3_000_000])
def test_an_envelope_made_by_gnu_tar_and_age_is_taken(folder: Path, size: int) -> None:
    content = os.urandom(size)
    write_members(folder, content)
    shell(folder, f"{GNU_TAR} -cf - {' '.join(NAMES)} | age -R recipient > X.age")
    assert content_of((folder / "X.age").read_bytes()) == content
    assert int(shell(folder, f"{GNU_TAR} -cf - {' '.join(NAMES)} | wc -c")) % RECORD == 0


def test_an_envelope_signed_by_ssh_keygen_is_taken(folder: Path) -> None:
    write_members(folder, CONTENT)
    shell(
        folder,
        "ssh-keygen -q -t ed25519 -N '' -f key && rm manifest.json.sig"
        " && ssh-keygen -q -Y sign -f key -n manifest@handover manifest.json",
    )
    shell(folder, f"{GNU_TAR} -cf - {' '.join(NAMES)} | age -R recipient > X.age")
    key = sshsig.PublicKey.parse((folder / "key.pub").read_text())
    assert opened((folder / "X.age").read_bytes()).verify_signature() == key
    assert content_of((folder / "X.age").read_bytes()) == CONTENT


@pytest.mark.parametrize("size", [0, 1, 6000, 70_000])
def test_an_envelope_made_by_pythons_tarfile_is_taken(folder: Path, size: int) -> None:
    content = os.urandom(size)
    write_members(folder, content)
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as written:
        for name in NAMES:
            info = tarfile.TarInfo(name)
            info.size, info.mode = (folder / name).stat().st_size, 0o600
            with (folder / name).open("rb") as source:
                written.addfile(info, source)
    assert content_of(encrypted(target.getvalue())) == content


def test_a_file_of_more_than_8_gib_has_the_same_header_from_gnu_tar(folder: Path) -> None:
    with (folder / "payload").open("wb") as sparse:
        sparse.truncate(HEADER_LIMIT + 5)
    pax = GNU_TAR.replace("ustar", "pax") + " --pax-option=delete=atime,delete=ctime"
    shell(folder, f"({pax} -cf - payload || true) 2>/dev/null | head -c 2048 > head")
    members = Members(io.BytesIO((folder / "head").read_bytes()))
    assert members.next() == Member("payload", HEADER_LIMIT + 5)


def test_gnu_tar_lists_our_header_of_a_file_of_more_than_8_gib(folder: Path) -> None:
    (folder / "head").write_bytes(header("payload", HEADER_LIMIT + 5) + bytes(1024))
    assert shell(folder, "(tar tvf head || true) 2>/dev/null").split()[:3] == ["-rw-------", "0/0", "8589934597"]
