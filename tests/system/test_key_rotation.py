"""Transport and host keys of real daemons are exchanged under OpenSSH's eyes: sshd asks us who may log in."""

import json
import sys
from pathlib import Path

from tests.system.daemons import Running, exchange, wait_for


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
