"""Transport and host keys of real daemons are exchanged under OpenSSH's eyes: sshd asks us who may log in."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from keys import age
from tests.organisations import PASSPHRASE
from tests.sshd import Sshd
from tests.system.daemons import PATIENCE, Running, exchange, wait_for


def ask_us(one: Running) -> None:
    """Let the sshd of this organisation ask its home at every login, as the configuration that we print says."""
    command = one.sshd.base.parent / "authorized-keys"
    command.write_text(
        f"#!/bin/sh\ncd {Path.cwd()} && exec {sys.executable} -m exchange --home {one.home.root} partner landing"
        ' --user "$1"\n'
    )
    command.chmod(0o755)
    one.sshd.ask(f"{command} %u")


def deliver(running: dict[str, Running], name: str) -> None:
    before = running["lgsco"].states().count("acknowledged")
    running["lgsco"].drop(name.encode(), f"24 015 493 {name}.pdf")
    wait_for(lambda: running["lgsco"].states().count("acknowledged") == before + 1)


def done(one: Running, *arguments: str) -> str:
    said = one.command(*arguments)
    assert said.returncode == 0, said.stderr
    return said.stdout


def public(one: Running, state: str) -> str:
    rows = json.loads(done(one, "keys", "list", "--json"))
    [row] = [row for row in rows if row["purpose"] == "transport" and row["state"] == state]
    return str(row["public"])


def test_sshd_knows_both_keys_during_the_overlap_and_only_the_new_one_after(tmp_path: Path) -> None:
    values = {"partners.ofsted.accept_rotation": "chain", "partners.lgsco.accept_rotation": "chain"}
    with exchange(tmp_path, dict(values)) as running:
        lgsco, ofsted = running["lgsco"], running["ofsted"]
        for one in running.values():
            ask_us(one)
            one.start()
        deliver(running, "before")
        user = ofsted.sshd.user
        done(lgsco, "keys", "rotate", "transport")
        wait_for(lambda: "key.taken-up" in lgsco.events())
        old, new = public(lgsco, "being replaced"), public(lgsco, "current")
        assert done(ofsted, "partner", "landing", "--user", user) == f"restrict {old}\nrestrict {new}\n"
        deliver(running, "during")
        done(lgsco, "keys", "retire", "transport")
        wait_for(lambda: lgsco.events().count("key.taken-up") == 2)
        assert done(ofsted, "partner", "landing", "--user", user) == f"restrict {new}\n"
        assert done(ofsted, "partner", "landing", "--user", "root") == ""
        # the connections of before are gone: the next login is with the new key alone
        assert lgsco.stop() == 0
        lgsco.start()
        deliver(running, "after")
        fingerprints = {line.split()[-1] for line in ofsted.sshd.log().splitlines() if "Accepted publickey" in line}
        assert len(fingerprints) == 2
        _new_host_key(running)
        for one in running.values():
            assert one.stop() == 0
            one.verify()


def _new_host_key(running: dict[str, Running]) -> None:
    """Ofsted's server gets another host key: announced first, then changed; LGSCO never stops."""
    lgsco, ofsted = running["lgsco"], running["ofsted"]
    old = ofsted.sshd.host_public
    ofsted.sshd.new_host_key()
    settings = ofsted.home.root / "handover.toml"
    text = settings.read_text()
    settings.write_text(text.replace(f'"{old}"', f'"{old}", "{ofsted.sshd.host_public}"'))
    done(ofsted, "keys", "announce")
    wait_for(lambda: "key.taken-up" in ofsted.events())
    ofsted.sshd.stop()
    ofsted.sshd.start()
    deliver(running, "new host key")
    settings.write_text(settings.read_text().replace(f'"{old}", ', ""))
    done(ofsted, "keys", "announce")
    wait_for(lambda: ofsted.events().count("key.taken-up") == 2)
    deliver(running, "old host key gone")
    assert "partner.unreachable" not in lgsco.events()[-10:]


def stolen_transport_key(one: Running, place: Path) -> Path:
    """The private half, as a thief has it who has read the home and knows the passphrase."""
    [sealed] = one.home.root.glob("keys/transport-*.age")
    place.touch(mode=0o600)
    with sealed.open("rb") as source, place.open("wb") as target:
        age.decrypt(source, target, [age.ScryptIdentity(PASSPHRASE.reveal())])
    return place


def logs_in(server: Sshd, key: Path) -> bool:
    """Whether OpenSSH lets a client with that key in."""
    options = ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
    arguments = [argument for option in options for argument in ("-o", option)]
    said = subprocess.run(
        ["sftp", "-b", "-", "-i", str(key), "-P", str(server.port), *arguments, f"{server.user}@127.0.0.1"],
        input="pwd\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert said.returncode == 0 or "Permission denied (publickey)" in said.stderr, said.stderr
    return said.returncode == 0


@pytest.mark.topologies("push", "ofsted-hosts", "lgsco-hosts", only=True)
def test_a_stolen_transport_key_logs_in_until_the_partner_hears_of_it_and_never_again(
    tmp_path: Path, topology: str
) -> None:
    with exchange(tmp_path, topology=topology) as running:
        # in each topology it is the one without a server who logs in, or either
        victim, host = ("ofsted", "lgsco") if topology == "lgsco-hosts" else ("lgsco", "ofsted")
        robbed, server = running[victim], running[host]
        ask_us(server)
        for one in running.values():
            one.start()
        deliver(running, "before")
        key = stolen_transport_key(robbed, tmp_path / "stolen")
        assert logs_in(server.sshd, key)
        # the partner is offline when the theft is found; its sshd is not
        assert server.stop() == 0
        [revoked] = [row for row in keys_of(robbed) if row["state"] == "current"]
        done(robbed, "keys", "revoke", str(revoked["fingerprint"]))
        running["lgsco"].drop(b"under way", "24 015 493 under way.pdf")
        server.start()
        wait_for(lambda: "partner.key-waiting" in server.events())
        wait_for(lambda: not logs_in(server.sshd, key))
        assert done(server, "partner", "landing", "--user", server.sshd.user) == ""
        [new] = [row for row in keys_of(robbed) if row["state"] == "current"]
        done(server, "keys", "accept", victim, "--fingerprint", str(new["fingerprint"]))
        assert done(server, "partner", "landing", "--user", server.sshd.user) == f"restrict {new['public']}\n"
        wait_for(lambda: running["lgsco"].states() == ["acknowledged"] * 2)
        deliver(running, "after")
        assert not logs_in(server.sshd, key)
        for one in running.values():
            assert one.stop() == 0
            one.verify()


def keys_of(one: Running) -> list[dict[str, object]]:
    """The transport keys of an organisation."""
    rows: list[dict[str, object]] = json.loads(done(one, "keys", "list", "--json"))
    return [row for row in rows if row["purpose"] == "transport"]
