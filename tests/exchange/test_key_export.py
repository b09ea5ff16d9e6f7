"""What `keys export` writes is what ssh-keygen, ssh, sshd and age take, and says what we say ourselves."""

import io
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from config.errors import Misuse
from config.home import Home
from config.sample import Value
from config.times import to_text
from exchange import key_desk
from exchange.key_export import allowed_signers, export
from keys import age
from ledger import checkpoint, note
from tests.exchange.test_key_rotation import chained, exchange_files, rotate
from tests.organisations import (
    NAMES,
    ManualClock,
    Organisation,
    Pair,
    introduce,
    make_home,
    start,
)
from tests.sshd import Sshd


def exported(one: Organisation, pair: Pair, name: str = "public") -> Path:
    folder = pair.base / f"{name} {one.parts.me}"
    parts = one.parts
    written = export(parts.home, parts.keyring, parts.ledger, parts.trust, folder, pair.clock)
    assert written == sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return folder


def succeeds(command: Sequence[str], data: bytes = b"") -> bool:
    return subprocess.run(command, input=data, capture_output=True, timeout=60, check=False).returncode == 0


def verifies(folder: Path, pair: Pair, identifier: str, sender: str, at: datetime) -> bool:
    """Whether ssh-keygen believes the manifest of a handover, as Ofsted keeps it, at that time."""
    document = pair.ofsted.parts.ledger.document("manifest", "lgsco", identifier)
    assert document is not None
    (folder.parent / "sig").write_text(document.signature)
    command = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        str(folder / "allowed_signers"),
        "-I",
        sender,
        "-n",
        "manifest@handover",
    ]
    command += ["-s", str(folder.parent / "sig"), "-O", f"verify-time={at:%Y%m%d%H%M%S}Z"]
    return succeeds(command, document.body)


def test_what_was_signed_at_any_time_is_verified_as_of_then_by_either_side(pair: Pair) -> None:
    chained(pair)
    times = []
    for name in ("first", "second", "third"):
        exchange_files(pair, name)
        times.append(pair.clock())
        pair.clock.advance(days=1)
        rotate(pair.lgsco, "signing", timedelta(0))
        pair.settle()
        pair.clock.advance(seconds=2)
        key_desk.tend(pair.lgsco.parts)
        pair.settle()
        pair.clock.advance(days=1)
    sent = [handover.id for handover in pair.lgsco.handovers()]
    for one in (pair.lgsco, pair.ofsted):
        folder = exported(one, pair)
        believed = [[verifies(folder, pair, each, "lgsco", at) for at in times] for each in sent]
        assert believed == [[each is other for other in times] for each in times]
        assert not verifies(folder, pair, sent[0], "ofsted", times[0])


def test_a_revoked_signing_key_counts_only_until_somebody_else_may_have_had_it(pair: Pair) -> None:
    chained(pair)
    exchange_files(pair, "before")
    before = pair.clock()
    pair.clock.advance(days=10)
    stolen = pair.lgsco.parts.own.usable("signing")[0].fingerprint
    since = before + timedelta(days=3)
    key_desk.revoke(pair.lgsco.parts, stolen, to_text(since), "root")
    pair.settle()
    [sent] = [handover.id for handover in pair.lgsco.handovers()]
    for one in (pair.lgsco, pair.ofsted):
        folder = exported(one, pair)
        moments = (before, since - timedelta(seconds=2), since + timedelta(seconds=2), pair.clock())
        believed = [verifies(folder, pair, sent, "lgsco", at) for at in moments]
        assert believed == [True, True, False, False]


def test_without_a_folder_it_prints_the_same_allowed_signers(pair: Pair) -> None:
    parts = pair.lgsco.parts
    text = allowed_signers(parts.home, parts.keyring, parts.ledger, parts.trust)
    assert text == (exported(pair.lgsco, pair) / "allowed_signers").read_text()
    assert [line.split()[0] for line in text.splitlines()] == ["ofsted", "lgsco"]


def test_ledger_and_witness_keys_verify_what_they_signed_before_and_after_a_rotation(pair: Pair) -> None:
    chained(pair)
    exchange_files(pair, "before")
    old = pair.lgsco.parts.ledger.checkpoint()
    rotate(pair.lgsco, "ledger", timedelta(0))
    rotate(pair.ofsted, "witness", timedelta(0))
    pair.settle()
    pair.clock.advance(days=1)
    for one in (pair.lgsco, pair.ofsted):
        key_desk.tend(one.parts)
    exchange_files(pair, "after")
    new = pair.lgsco.parts.ledger.checkpoint()
    for one in (pair.lgsco, pair.ofsted):
        folder = exported(one, pair)
        keys = [note.parse_vkey(line) for line in (folder / "lgsco" / "ledger.vkeys").read_text().splitlines()]
        assert len(keys) == 2
        for head in (old, new):
            assert checkpoint.open_checkpoint(head, keys).origin == "lgsco/handover"
        witnesses = [note.parse_vkey(line) for line in (folder / "ofsted" / "witness.vkeys").read_text().splitlines()]
        size = pair.lgsco.parts.ledger.newest_cosigned()
        assert size is not None
        covered = pair.lgsco.parts.ledger.checkpoint_of(size)
        assert covered is not None
        cosigned = note.add_signatures(covered, pair.lgsco.parts.ledger.cosignatures(size))
        assert note.open_note(cosigned, witnesses).verified


def test_a_revoked_ledger_key_is_no_longer_given_out(pair: Pair) -> None:
    chained(pair)
    exchange_files(pair, "before")
    stolen = pair.lgsco.parts.own.usable("ledger")[0]
    key_desk.revoke(pair.lgsco.parts, stolen.fingerprint, None, "root")
    pair.settle()
    for one in (pair.lgsco, pair.ofsted):
        text = (exported(one, pair) / "lgsco" / "ledger.vkeys").read_text()
        assert len(text.splitlines()) == 1
        assert stolen.public not in text


def test_the_oldest_age_seals_to_the_recipients_and_the_partner_opens_it(tmp_path: Path) -> None:
    homes: dict[str, Home] = {}
    for name in NAMES:
        homes[name] = make_home(tmp_path, name, encryption="x25519")
    introduce(homes, tmp_path)
    one = start(homes["lgsco"], homes["ofsted"], ManualClock())
    folder = tmp_path / "public"
    export(one.home, one.parts.keyring, one.parts.ledger, one.parts.trust, folder)
    one.parts.ledger.close()
    other = start(homes["ofsted"], homes["lgsco"], ManualClock())
    command = ["age", "-R", str(folder / "ofsted" / "recipients")]
    sealed = subprocess.run(command, input=b"by hand", capture_output=True, check=True).stdout
    opened = io.BytesIO()
    age.decrypt(io.BytesIO(sealed), opened, other.parts.identities())
    assert opened.getvalue() == b"by hand"
    other.parts.ledger.close()


def test_ssh_takes_the_known_hosts_and_sshd_the_authorized_keys(tmp_path: Path) -> None:
    with Sshd() as sshd:
        values: dict[str, Value] = {"landing.port": sshd.port, "landing.host_keys": [sshd.host_public]}
        homes = {name: make_home(tmp_path, name, values) for name in NAMES}
        introduce(homes, tmp_path)
        one = start(homes["lgsco"], homes["ofsted"], ManualClock())
        folder = tmp_path / "public"
        export(one.home, one.parts.keyring, one.parts.ledger, one.parts.trust, folder)
        key = tmp_path / "transport"
        key.touch(0o600)
        key.write_bytes(one.parts.keyring.transport_key())
        one.parts.ledger.close()

        def logs_in(known: str) -> bool:
            (tmp_path / "known").write_text(known)
            options = ["StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes", "GlobalKnownHostsFile=none"]
            options += [f"UserKnownHostsFile={tmp_path}/known", f"Port={sshd.port}"]
            command = ["sftp", "-q", "-i", str(key), *(f"-o{option}" for option in options), f"{sshd.user}@127.0.0.1"]
            return succeeds(command, b"pwd\n")

        known = (folder / "known_hosts").read_text()
        assert not logs_in(known)
        lines = (folder / "lgsco" / "authorized_keys").read_text().splitlines()
        sshd.authorize(*(line.removeprefix("restrict ") for line in lines))
        assert all(line.startswith("restrict ssh-ed25519 ") for line in lines)
        assert logs_in(known)
        assert not logs_in(known.replace(str(sshd.port), "2"))
        assert (folder / "ofsted" / "authorized_keys").read_text() not in known
        assert succeeds(["ssh-keygen", "-F", f"[127.0.0.1]:{sshd.port}", "-f", str(folder / "known_hosts")])


@pytest.mark.topologies(but="ofsted-hosts")
def test_a_host_on_the_usual_port_and_one_with_a_comment_are_written_as_ssh_does(pair: Pair) -> None:
    home = pair.lgsco.home
    landing = home.settings.landing
    commented = f"{landing.host_keys[0]} root@sftp"
    changed = landing.model_copy(update={"port": 22, "host": "sftp.lgsco.example", "host_keys": (commented,)})
    home = replace(home, settings=home.settings.model_copy(update={"landing": changed}))
    pair.lgsco.parts = replace(pair.lgsco.parts, home=home)
    folder = exported(pair.lgsco, pair)
    own, *_ = (folder / "known_hosts").read_text().splitlines()
    assert own == f"sftp.lgsco.example {landing.host_keys[0]}"


def test_a_folder_with_something_in_it_is_not_written_to(pair: Pair) -> None:
    parts = pair.lgsco.parts
    folder = pair.base / "old"
    folder.mkdir()
    (folder / "ofsted").mkdir()
    link = pair.base / "link"
    link.symlink_to(pair.base / "elsewhere")
    for place in (folder, link, parts.home.config_file):
        with pytest.raises(Misuse, match="is not a new folder"):
            export(parts.home, parts.keyring, parts.ledger, parts.trust, place)
    assert list(folder.iterdir()) == [folder / "ofsted"]


def test_nothing_private_is_written(pair: Pair) -> None:
    folder = exported(pair.lgsco, pair)
    text = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert "PRIVATE" not in text
    assert "SECRET" not in text
