import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import settings
from config.errors import Misuse
from config.toml import BadFile

GOOD = b'[organisation]\nid = "lgsco"\nname = "The Ombudsman"\n'


def _mistakes(text: str) -> list[str]:
    with pytest.raises(BadFile) as caught:
        settings.parse(GOOD + text.encode())
    return [f"{p.line}: {p.where}: {p.what}" for p in caught.value.problems]


def test_the_organisation_is_all_that_must_be_said() -> None:
    said = settings.parse(GOOD)
    assert (said.organisation.id, said.organisation.name) == ("lgsco", "The Ombudsman")
    assert (said.keys.passphrase_file, said.keys.passphrase_credential) == (None, "handover-passphrase")
    assert said.keys.encryption == "pq"
    assert said.folders.outbound == Path("outbound")
    assert (said.watch.rescan, said.watch.quiet, said.watch.polling) == (timedelta(0, 30), timedelta(0, 5), False)
    assert (said.landing.host, said.landing.port, said.landing.user, said.landing.path) == (
        None, 22, "{partner}", "{partner}")  # fmt: skip
    assert (said.landing.embedded, said.landing.listen) == (False, "127.0.0.1:0")
    assert said.agreements.files == ()
    assert said.limits.max_bytes == 10 * 2**30
    assert (said.retry.first, said.retry.max) == (timedelta(seconds=5), timedelta(minutes=15))
    assert said.partners == {}


def test_everything_can_be_said() -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq0dk3ycYdOEPhyVZ4yDqCQEOBQ0TsYQL0GCWBwJTmm"
    said = settings.parse(
        GOOD
        + f"""
        [keys]
        passphrase_file = "/run/secrets/passphrase"
        encryption = "x25519"
        [folders]
        outbound = "/mnt/share/to partners"
        [watch]
        rescan = "500ms"
        polling = true
        [landing]
        host = "2001:DB8::1"
        host_keys = ["{key} root@host"]
        embedded = true
        listen = "[::1]:2222"
        [agreements]
        files = ["agreements/other.toml"]
        [limits]
        max_file = "64KiB"
        [partners.ofsted]
        port = 2022
        path = "in/{{partner}}"
        collects = true
        receipt_deadline = "3d"
        keep_sent = "none"
        [partners.ofsted.collect]
        enabled = true
        path = "out/{{partner}}"
        every = "5m"
        host = "10.0.0.9"
        user = "lgsco-out"
        host_keys = ["{key}"]
        """.encode()
    )
    assert said.keys.passphrase_file == Path("/run/secrets/passphrase")
    assert said.folders.outbound == Path("/mnt/share/to partners")
    assert said.landing.host == "2001:db8::1"
    assert said.landing.host_keys == (f"{key} root@host",)
    assert said.agreements.files == ("agreements/other.toml",)
    partner = said.partner("ofsted")
    assert (partner.port, partner.path, partner.receipt_deadline) == (2022, "in/{partner}", timedelta(days=3))
    assert partner.keep_sent == timedelta(0)
    assert partner.collects
    collect = partner.collect
    assert (collect.enabled, collect.path, collect.every) == (True, "out/{partner}", timedelta(minutes=5))
    assert (collect.host, collect.port, collect.user, collect.host_keys) == ("10.0.0.9", None, "lgsco-out", (key,))
    assert settings.parse(said.to_toml().encode()) == said


def test_a_partner_of_whom_nothing_is_said_has_the_defaults() -> None:
    partner = settings.parse(GOOD).partner("ofsted")
    assert partner.host is None
    assert partner.keep_sent is None


def test_every_mistake_is_reported_at_once_with_its_line_and_its_key() -> None:
    with pytest.raises(BadFile) as caught:
        settings.parse(
            b'[organisation]\nid = "LGSCO"\n\n[watch]\nrescan = 30\nqiet = "5s"\n[landing]\nport = "22"\n',
            "handover.toml",
        )
    assert caught.value.for_people() == (
        "error: handover.toml has 5 mistakes\n"
        "  handover.toml:1: organisation.name: is missing\n"
        "  handover.toml:2: organisation.id:"
        " must be 2 to 32 small letters, digits and hyphens, and begin with a letter\n"
        "  handover.toml:5: watch.rescan: must be text in quotes with a number and a unit\n"
        '  handover.toml:6: watch.qiet: is not a key that Handover knows; did you mean "quiet"?\n'
        "  handover.toml:8: landing.port: must be a whole number, without quotes"
    )


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            "[wacth]\n",
            '4: wacth: is not a section that Handover knows; did you mean "watch"?',
        ),
        (
            "[zzzzz]\n",
            "4: zzzzz: is not a section that Handover knows",
        ),
        (
            '[folders]\nrescan = "1s"',
            '5: folders.rescan: is not a key that Handover knows; it belongs into the section "watch"',
        ),
        (
            '[partners.ofsted]\nhots = "a"',
            '5: partners.ofsted.hots: is not a key that Handover knows; did you mean "host"?',
        ),
        (
            "[partners]\nOfsted = {}",
            "5: partners.Ofsted: must be 2 to 32 small letters, digits and hyphens, and begin with a letter",
        ),
        (
            "[partners.lgsco]",
            "4: partners.lgsco: is this organisation itself",
        ),
        (
            "partners = 1",
            "4: organisation.partners: is not a key that Handover knows",
        ),
        (
            '[watch]\nrescan = "30 s"',
            '5: watch.rescan: is not a duration; write a number and ms, s, m, h, d or w, like "30s"',
        ),
        (
            '[watch]\nrescan = "0s"',
            "5: watch.rescan: must be longer than zero",
        ),
        (
            "[watch]\npolling = 1",
            "5: watch.polling: must be true or false, without quotes",
        ),
        (
            '[limits]\nmax_file = "10GB"',
            '5: limits.max_file: is not a size; write a number and B, KiB, MiB, GiB or TiB, like "10GiB"',
        ),
        (
            '[limits]\nmax_file = "0B"',
            "5: limits.max_file: must be larger than zero",
        ),
        (
            '[retry]\nfirst = "1h"',
            "4: retry: max must not be shorter than first",
        ),
        (
            '[keys]\nencryption = "rsa"',
            '5: keys.encryption: must be "pq" or "x25519"',
        ),
        (
            "[landing]\nport = 0",
            "5: landing.port: must be at least 1",
        ),
        (
            "[landing]\nport = 65536",
            "5: landing.port: must be at most 65535",
        ),
        (
            '[landing]\nhost = "ftp://x"',
            "5: landing.host: must be the name or the IP address of a host, without user, port or path",
        ),
        (
            '[landing]\nuser = "a b"',
            '5: landing.user: must be letters, digits, ".", "_", "-", "/" and the placeholder {partner}',
        ),
        (
            '[landing]\nlisten = "0.0.0.0:22"',
            '5: landing.listen: must be "127.0.0.1:PORT" or "[::1]:PORT": the embedded server is for this machine only',
        ),
        (
            '[landing]\nhost_keys = ["nonsense"]',
            "5: landing.host_keys[1]: must be a public key line such as ssh-ed25519 AAAA…",
        ),
        (
            "[landing]\nhost_keys = 1",
            "5: landing.host_keys: must be a list in square brackets",
        ),
        (
            '[folders]\nsent = "../sent"',
            '5: folders.sent: must lie below the home or be an absolute path; ".." is not allowed',
        ),
        (
            '[folders]\nsent = ""',
            "5: folders.sent: must be the name of a folder or file",
        ),
        (
            '[folders]\nsent = "outbound/sent"',
            "5: folders.sent: overlaps with the outbound folder; give it a place of its own",
        ),
        (
            '[folders]\noutbound = "keys"',
            "5: folders.outbound: overlaps with keys of the home; give it a place of its own",
        ),
        (
            '[partners.ofsted]\nkeep_sent = "0d"',
            "5: partners.ofsted.keep_sent: must be longer than zero; write none where nothing is kept",
        ),
        (
            "[agreements]\nfiles = [1]",
            "5: agreements.files[1]: must be text in quotes",
        ),
    ],
)
def test_a_mistake_is_explained(text: str, mistake: str) -> None:
    assert _mistakes(text) == [mistake]


def test_a_value_in_the_wrong_place_is_never_shown() -> None:
    for key in ("passphrase", "encryption", "hunter"):
        assert "hunter2" not in "".join(_mistakes(f'[keys]\n{key} = "hunter2"'))


def test_settings_cannot_be_changed() -> None:
    said = settings.parse(GOOD)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        said.watch.__setattr__("polling", True)


def test_a_file_that_is_not_there_says_how_a_home_is_made(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"there is no handover\.toml in ") as caught:
        settings.load(tmp_path / "handover.toml")
    assert "handover init" in caught.value.hint


def test_a_folder_in_the_place_of_the_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "handover.toml").mkdir()
    with pytest.raises(Misuse, match="cannot be read: is a directory"):
        settings.load(tmp_path / "handover.toml")


def test_a_file_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "handover.toml").write_bytes(GOOD)
    assert settings.load(tmp_path / "handover.toml") == settings.parse(GOOD)


def test_what_is_dumped_can_be_read_again() -> None:
    said = settings.parse(GOOD + b'[partners.ofsted]\nkeep_sent = "none"\nreceipt_deadline = "7d"\n')
    dumped = said.model_dump(mode="json")
    assert dumped["limits"] == {"max_file": "10GiB", "quarantine": "20GiB", "quarantine_files": 1000}
    assert dumped["partners"]["ofsted"]["keep_sent"] == "none"
    without = {
        name: {key: value for key, value in section.items() if value is not None}
        for name, section in dumped.items()
        if name != "partners"
    }
    assert settings.Settings.model_validate(without).folders == said.folders


def test_the_schema_knows_every_section_and_shows_defaults_as_they_are_written() -> None:
    schema = settings.schema()
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["organisation"]
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    assert definitions["Watch"]["properties"]["rescan"]["default"] == "30s"
    assert definitions["Limits"]["properties"]["max_file"]["default"] == "10GiB"
    assert definitions["Collect"]["properties"]["every"]["default"] == "30s"
    assert definitions["Folders"]["properties"]["held"]["default"] == "held"


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_make_the_loader_leak_another_error(content: bytes) -> None:
    with pytest.raises(BadFile):
        settings.parse(content)


def test_importing_settings_brings_no_other_framework() -> None:
    code = "import config.settings, sys; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80"}
    )
    assert not {"pydantic_settings", "click", "rich", "cryptography", "dotenv"} & set(done.stdout.split())


def test_homes_agreements_and_authorities_do_without_pydantic() -> None:
    code = "import config.home, sys; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
