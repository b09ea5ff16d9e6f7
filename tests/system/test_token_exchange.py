"""Real daemons, OpenSSH and a real token: LGSCO signs envelopes, receipts and its ledger with keys that are in it."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.sample import Value
from exchange.audit import public_keyring
from keys import age
from keys.keyring import Keyring
from tests.exchange.test_pipeline import CONCERN
from tests.organisations import CASE, PASSPHRASE
from tests.softhsm import MODULE, PIN, SoftHsm
from tests.system.daemons import Running, exchange, wait_for

Both = dict[str, Running]


@pytest.fixture
def hsm(tmp_path: Path) -> SoftHsm:
    made = SoftHsm(tmp_path / "hsm")
    made.init()
    return made


@pytest.fixture
def running(tmp_path: Path, hsm: SoftHsm) -> Iterator[Both]:
    """Both organisations; LGSCO's handover.toml names the token."""
    values: dict[str, Value] = {f"partners.{one}.accept_rotation": "chain" for one in ("lgsco", "ofsted")}
    with exchange(tmp_path, values) as both:
        lgsco = both["lgsco"]
        lgsco.environment = hsm.environment
        pin = lgsco.home.root / "token-pin"
        pin.touch(0o600)
        pin.write_text(f"{PIN.reveal()}\n")
        config = lgsco.home.config_file
        said = f'[token]\nmodule = "{MODULE}"\npin_file = "token-pin"\n'
        config.write_text(config.read_text().replace("[token]\n", said))
        yield both


def deliver(both: Both, name: str) -> None:
    """One file each way, acknowledged."""
    done = {one: running.states().count("acknowledged") for one, running in both.items()}
    both["lgsco"].drop(name.encode(), f"{CASE} {name}.pdf")
    both["ofsted"].drop(b"{}", f"{CASE} {name}.json", CONCERN)
    wait_for(lambda: all(both[one].states().count("acknowledged") == done[one] + 1 for one in both))


def ours(one: Running, *arguments: str) -> str:
    done = one.command(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def history(one: Running) -> list[tuple[str, str]]:
    """What happened to keys: the event, and to which."""
    return [(row["event"], row["fingerprint"]) for row in json.loads(ours(one, "keys", "history", "--json"))]


def move(both: Both, purpose: str, hsm: SoftHsm) -> None:
    """Into the token, or there to the next key."""
    lgsco = both["lgsco"]
    made = json.loads(ours(lgsco, "keys", "rotate", purpose, "--token", "--json"))
    serial = made["serial"]
    # not just any: the answer about the key that was retired before may come late
    wait_for(lambda: ("key.taken-up", made["fingerprint"]) in history(lgsco))
    deliver(both, f"{purpose} {serial}")
    ours(lgsco, "keys", "retire", purpose)
    assert f"lgsco {purpose} key {serial}" in hsm.labels()
    assert f"lgsco {purpose} key {serial - 1}" not in hsm.labels()


def test_files_and_receipts_go_both_ways_with_keys_in_the_token(running: Both, hsm: SoftHsm) -> None:
    lgsco, ofsted = running["lgsco"], running["ofsted"]
    for one in running.values():
        one.start()
    deliver(running, "before")
    for _ in range(2):
        for purpose in ("signing", "ledger"):
            move(running, purpose, hsm)
    assert hsm.labels() == ["lgsco ledger key 3", "lgsco signing key 3"]
    # Ofsted is stopped: what LGSCO sends next lies on its server, and is opened with its encryption key
    assert ofsted.stop() == 0
    lgsco.drop(b"a decision", f"{CASE} signed.pdf")
    wait_for(lambda: any(row.state == "sent" for row in lgsco.rows()))
    [handover] = [row.id for row in lgsco.rows() if row.state == "sent"]
    # receipts and announcements may lie beside it
    [envelope] = [path for path in ofsted.waiting() if path.name == f"{handover}.age"]
    assert verified_by_ssh_keygen(running, envelope)
    ofsted.start()
    wait_for(lambda: set(lgsco.states()) == {"acknowledged"})
    for one in running.values():
        assert one.stop() == 0
        one.verify()
        assert ours(one, "ledger", "verify").startswith("verified      yes")
    log = lgsco.log_file.read_text()
    assert PIN.reveal() not in log
    assert "pkcs11:" not in log


def verified_by_ssh_keygen(both: Both, envelope: Path) -> bool:
    """What the envelope holds, opened with Ofsted's key; its signature is checked by OpenSSH and LGSCO's public key."""
    keyring = Keyring.open(both["ofsted"].home.keys, lambda: PASSPHRASE)
    plain = io.BytesIO()
    with envelope.open("rb") as sealed:
        age.decrypt(sealed, plain, keyring.identities())
    plain.seek(0)
    folder = both["ofsted"].home.root
    with tarfile.open(fileobj=plain) as members:
        content = {name: members.extractfile(name) for name in ("manifest.json", "manifest.json.sig")}
        for name, member in content.items():
            assert member is not None
            (folder / name).write_bytes(member.read())
    newest = [info for info in public_keyring(both["lgsco"].home).infos() if info.purpose == "signing"][-1]
    (folder / "allowed_signers").write_text(f'lgsco namespaces="manifest@handover" {newest.public}\n')
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", "lgsco", "-n", "manifest@handover"]
    manifest = (folder / "manifest.json").read_bytes()
    done = subprocess.run([*command, "-s", "manifest.json.sig"], cwd=folder, input=manifest, capture_output=True)
    assert done.returncode == 0, done.stderr
    return newest.fingerprint in done.stdout.decode()


def test_a_token_that_is_away_for_a_while_keeps_everything_waiting_and_loses_nothing(
    running: Both, hsm: SoftHsm
) -> None:
    lgsco = running["lgsco"]
    for one in running.values():
        one.start()
    for purpose in ("signing", "ledger", "witness"):
        move(running, purpose, hsm)
    size = len(lgsco.events())
    hsm.take_away()
    lgsco.drop(b"waits", f"{CASE} waits.pdf")
    wait_for(lambda: any(line.get("error") == "TokenAway" for line in lgsco.log()))
    assert len(lgsco.events()) == size
    assert len(lgsco.files(lgsco.home.outbound / "ofsted")) == 1
    status = lgsco.command("status")
    assert status.returncode == 0, status.stderr
    hsm.bring_back()
    wait_for(lambda: lgsco.states().count("acknowledged") == len(lgsco.states()) > 3)
    assert lgsco.process is not None
    assert lgsco.process.poll() is None, "it never stopped"
    for one in running.values():
        assert one.stop() == 0
        one.verify()


@pytest.mark.parametrize("when", [1, 2])
def test_a_kill_between_the_token_and_the_disk_leaves_one_key_after_the_next_start(
    running: Both, hsm: SoftHsm, when: int
) -> None:
    """The command is killed as it puts a file in its place: the first says where the key will lie, the second that it
    is there."""
    lgsco = running["lgsco"]
    for one in running.values():
        one.start()
    assert lgsco.stop() == 0
    command = [
        *(
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=rename",
            "-e",
            f"inject=rename:signal=KILL:when={when}",
        ),
        *(sys.executable, "-m", "exchange", "--home", str(lgsco.home.root), "keys", "rotate", "signing", "--token"),
    ]
    killed = subprocess.run(command, env=os.environ | hsm.environment, capture_output=True, check=False)
    assert killed.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), killed.stderr
    assert hsm.labels() == ["lgsco signing key 2"] * (when - 1)
    lgsco.start()
    wait_for(lambda: "key.taken-up" in lgsco.events())
    assert hsm.labels() == ["lgsco signing key 2"]
    deliver(running, "after")
    ours(lgsco, "keys", "retire", "signing")
    for one in running.values():
        assert one.stop() == 0
        one.verify()
