"""The files for administrators are tried on the programs that read them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import authorities

DATA = Path(authorities.__file__).parent / "data"
UNIT = DATA / "handover.service"
MAX_EXPOSURE = 1.5


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _unit() -> dict[str, list[str]]:
    said: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            said.setdefault(key, []).append(value)
    return said


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit as systemd would find it, with a program that is there."""
    program = tmp_path / "handover"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    unit = tmp_path / "handover.service"
    text = UNIT.read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/handover/bin/handover", str(program)), encoding="utf-8")
    return unit


def test_systemd_finds_no_fault_in_the_unit(installed: Path) -> None:
    done = _run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(installed))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_would_find_a_fault_in_the_unit(installed: Path) -> None:
    installed.write_text(installed.read_text(encoding="utf-8").replace("ProtectClock=yes", "ProtectClok=yes"))
    assert "ProtectClok" in _run("systemd-analyze", "verify", "--man=no", str(installed)).stderr


def test_the_unit_is_hardened_as_far_as_its_work_allows() -> None:
    done = _run("systemd-analyze", "security", "--offline=true", "--json=short", str(UNIT))
    findings = {finding["json_field"]: finding for finding in json.loads(done.stdout)}
    assert findings["MemoryDenyWriteExecute"]["set"]
    assert findings["NoNewPrivileges"]["set"]
    threshold = f"--threshold={round(MAX_EXPOSURE * 10)}"
    done = _run("systemd-analyze", "security", "--offline=true", "--no-pager", threshold, str(UNIT))
    assert done.returncode == 0, done.stdout
    exposure = float(done.stdout.rsplit("Overall exposure level for handover.service: ", 1)[1].split()[0])
    assert exposure <= MAX_EXPOSURE


def test_the_unit_speaks_with_the_daemon() -> None:
    said = _unit()
    assert said["Type"] == ["notify"]
    assert said["WatchdogSec"] == ["60s"]
    assert said["Restart"] == ["on-failure"]
    assert said["RestartPreventExitStatus"] == ["2 4"]
    assert said["LoadCredentialEncrypted"] == ["handover-passphrase:/etc/handover/passphrase.cred"]
    assert said["Environment"] == ["HANDOVER_HOME=/var/lib/handover"]


def test_the_credential_has_the_name_that_the_settings_expect() -> None:
    code = "from config.sections import Keys; print(Keys().passphrase_credential)"
    expected = _run(sys.executable, "-c", code).stdout.strip()
    assert _unit()["LoadCredentialEncrypted"] == [f"{expected}:/etc/handover/passphrase.cred"]


def test_sysusers_makes_the_user_and_the_groups(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    done = _run("systemd-sysusers", f"--root={tmp_path}", str(DATA / "handover.sysusers"))
    assert done.returncode == 0, done.stderr
    users = (tmp_path / "etc" / "passwd").read_text(encoding="utf-8")
    groups = (tmp_path / "etc" / "group").read_text(encoding="utf-8")
    assert users.startswith("handover:x:")
    assert ":Handover:/var/lib/handover:/usr/sbin/nologin" in users
    assert {line.split(":")[0] for line in groups.splitlines()} == {"handover", "handover-landing"}


@pytest.fixture
def sshd(tmp_path: Path) -> Path:
    """A server's configuration that takes in the snippet; the group's members are told by name here."""
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "host"))
    snippet = (DATA / "sshd-landing.conf").read_text(encoding="utf-8")
    assert "\nMatch Group handover-landing\n" in snippet
    (tmp_path / "50-handover.conf").write_text(snippet.replace("Match Group handover-landing", "Match User ofsted"))
    lines = [f"HostKey {tmp_path / 'host'}", f"Include {tmp_path}/50-*.conf", "PermitTTY yes", "X11Forwarding yes"]
    (tmp_path / "sshd_config").write_text("\n".join([*lines, ""]), encoding="utf-8")
    if os.geteuid() == 0:  # sshd insists on it when root starts it; the service's own unit makes it elsewhere
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    return tmp_path / "sshd_config"


def _effective(sshd: Path, user: str) -> dict[str, str]:
    done = _run("/usr/sbin/sshd", "-T", "-f", str(sshd), "-C", f"user={user},host=partner.example,addr=192.0.2.7")
    assert (done.returncode, done.stderr) == (0, "")
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def test_sshd_gives_a_partner_nothing_but_an_sftp_server_behind_a_key(sshd: Path) -> None:
    for_partner = _effective(sshd, "ofsted")
    expected = {
        "chrootdirectory": "/srv/handover-sftp",
        "forcecommand": "internal-sftp -u 0007 -P symlink,hardlink,mkdir,rmdir,copy-data -l INFO",
        "authorizedkeysfile": "/etc/ssh/handover/%u",
        "authenticationmethods": "publickey",
        "passwordauthentication": "no",
        "kbdinteractiveauthentication": "no",
        "disableforwarding": "yes",
        "allowtcpforwarding": "no",
        "x11forwarding": "no",
        "permittty": "no",
        "permittunnel": "no",
        "permituserrc": "no",
    }
    assert {key: for_partner[key] for key in expected} == expected


def test_sshd_treats_everybody_else_as_before(sshd: Path) -> None:
    for_staff = _effective(sshd, "alice")
    assert for_staff["forcecommand"] == "none"
    assert for_staff["chrootdirectory"] == "none"
    assert (for_staff["permittty"], for_staff["x11forwarding"]) == ("yes", "yes")


def test_every_request_that_the_snippet_forbids_is_one_that_the_server_knows() -> None:
    known = set(_run("/usr/lib/openssh/sftp-server", "-Q", "requests").stdout.split())
    (command,) = [line for line in (DATA / "sshd-landing.conf").read_text().splitlines() if "internal-sftp" in line]
    denied = set(command.split(" -P ")[1].split()[0].split(","))
    assert denied <= known
    assert not denied & {"open", "write", "close", "posix-rename", "fsync", "limits", "remove", "readlink"}


def test_every_file_is_named_in_the_readme() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for file in DATA.iterdir():
        assert file.name == "README.md" or f"`{file.name}`" in readme
