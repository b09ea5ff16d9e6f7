"""docs/token.md: an administrator who follows it has a key in the token, and sees what it shows."""

import re
import subprocess
from pathlib import Path

import pytest

from config import settings
from tests.softhsm import LABEL, MODULE, PIN, SO_PIN, SoftHsm
from tests.system import terminal
from tests.system.scenes import Scenes
from tests.system.transcript import parse, play

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "token.md").read_text("utf-8")

BEGIN = """[start two-homes]

$ sed -i "2i export SOFTHSM2_CONF={conf}" bin/handover
$ (umask 077; echo {pin} > lgsco/token-pin)
$ sed -i 's|^\\[token\\]|[token]\\nmodule = "{module}"\\npin_file = "token-pin"|' lgsco/handover.toml
$ handover --home lgsco config check | grep token
token         handover
$ handover --home ofsted run > ofsted.log &
[wait ofsted.log daemon.ready]
$ handover --home lgsco run > lgsco.log &
[wait lgsco.log daemon.ready]
"""
END = """$ handover --home lgsco keys inventory | grep -c ' token '
1
$ kill $(cat lgsco/daemon.pid) $(cat ofsted/daemon.pid)
[wait lgsco.log daemon.stopped]
$ mv hsm/tokens hsm/away && mkdir hsm/tokens
$ handover --home lgsco run
{…"daemon.stopped"…}
2> error: there is no token with the label 'handover'
2> hint: plug it in, or start its service; nothing is signed until then
[exit 3]
$ handover --home lgsco config check
2> error: there is no token with the label 'handover'
2> hint: plug it in, or start its service; nothing is signed until then
[exit 3]
$ handover --home lgsco keys rotate signing
2> error: there is no token with the label 'handover'
2> hint: plug it in, or start its service; nothing is signed until then
[exit 3]
$ rmdir hsm/tokens && mv hsm/away hsm/tokens && echo wrong-horse-2 > lgsco/token-pin
$ handover --home lgsco run
{…"daemon.stopped"…}
2> error: the token does not take the PIN
2> hint: give the right one where the wrong one came from; another wrong try may lock the token
[exit 2]
$ chmod 644 lgsco/token-pin
$ handover --home lgsco run
2> error: the PIN file can be reached by others (mode 0644, at most 0600)
2> hint: chmod 0600 …
[exit 2]
$ rm lgsco/token-pin
$ sed -i '/^pin_file/d' lgsco/handover.toml
$ handover --home lgsco run
{…"daemon.stopped"…}
2> error: the token's PIN is needed and there is nobody to ask
2> hint: set token.pin_file, or use a systemd credential
[exit 3]
$ handover --home lgsco ledger verify | head -1
verified      yes
"""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def hsm(tmp_path: Path) -> SoftHsm:
    """A token made by the page's own command."""
    (tmp_path / "homes").mkdir()
    made = SoftHsm(tmp_path / "homes" / "hsm")
    command = blocks("sh")[0].strip() + " >&2"  # it asks on stdout
    typed = [("SO PIN", SO_PIN), ("reenter", SO_PIN), ("user PIN", PIN.reveal()), ("reenter", PIN.reveal())]
    code, out, said = terminal.run(command, typed, tmp_path, {"PATH": "/usr/bin:/bin", **made.environment}, 60)
    assert code == 0, said + out
    return made


def test_every_command_of_the_page_does_what_it_shows(tmp_path: Path, hsm: SoftHsm) -> None:
    pieces = re.findall(r"^```console\n(.*?)^```|^<!-- (\[wait .+?\]) -->$", PAGE, re.MULTILINE | re.DOTALL)
    script = "".join(shown or f"{wait}\n" for shown, wait in pieces)
    assert len(pieces) == 6
    begin = BEGIN.format(conf=hsm.conf, pin=PIN.reveal(), module=MODULE)
    folder = tmp_path / "homes"
    assert sum(1 for _ in play(parse(begin + script + END), folder, Scenes(tmp_path / "scenes"))) > 20
    assert hsm.labels() == ["lgsco signing key 2"]
    logs = (folder / "lgsco.log").read_text() + (folder / "ofsted.log").read_text()
    assert PIN.reveal() not in logs
    assert "pkcs11:" not in logs


def test_the_settings_are_ones_that_the_program_takes() -> None:
    [block] = blocks("toml")
    said = settings.parse(f'[organisation]\nid = "lgsco"\nname = "x"\n{block}'.encode())
    assert (said.token.module, said.token.label) == (MODULE, LABEL)


def test_the_pin_is_encrypted_for_the_credential_that_the_settings_name(tmp_path: Path) -> None:
    command = blocks("sh")[1].strip().replace("/etc/handover", str(tmp_path))
    environment = {"PATH": "/usr/sbin:/usr/bin:/bin"}
    code, _, said = terminal.run(command, [("PIN:", PIN.reveal())], tmp_path, environment, 60)
    assert code == 0, said
    name = settings.parse(b'[organisation]\nid = "lgsco"\nname = "x"\n').token.pin_credential
    decrypt = ["systemd-creds", "decrypt", f"--name={name}", str(tmp_path / "token-pin.cred"), "-"]
    done = subprocess.run(decrypt, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, PIN.reveal())
    assert f"LoadCredentialEncrypted={name}:/etc/handover/token-pin.cred\n" in blocks("ini")[0]


def test_systemd_takes_what_the_page_adds_to_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "handover"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "handover.service"
    unit.write_text(
        (ROOT / "config/data/handover.service").read_text().replace("/opt/handover/bin/handover", str(program))
    )
    (tmp_path / "handover.service.d").mkdir()
    (tmp_path / "handover.service.d" / "token.conf").write_text(blocks("ini")[0])
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
