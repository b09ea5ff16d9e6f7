"""What the README and the manual tell people to type works, and shows what they say it shows."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from config.home import Home
from exchange.cli import handover
from exchange.setup import initialise
from tests.organisations import CASE, NAMES, PASSPHRASE, introduce
from tests.system import terminal
from tests.system.scenes import Scenes
from tests.system.transcript import Runner

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
RECOVERY = (ROOT / "docs" / "recovery.md").read_text("utf-8")
PAGES = {path.name: path.read_text("utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
MARKDOWN = sorted(PAGES)


def consoles(page: str) -> list[str]:
    """The blocks that show a terminal."""
    return re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def indented(page: str) -> list[str]:
    """The indented lines: recovery.md's commands."""
    return [line.strip() for line in page.splitlines() if line.startswith("    ")]


def spoken(page: str) -> list[str]:
    """Commands of ours inside a sentence or a table."""
    return re.findall(r"`(handover [^`]+)`", page)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    made = Runner(tmp_path)
    yield made
    made.close()


# --- README -----------------------------------------------------------------------------------------------------------


def settled(story: str) -> list[str]:
    """What the demo shows, without what differs from run to run: times, ports, keys, roots, and who was first."""
    for changing in (
        r"\d\d:\d\d:\d\d\.\d{3}",
        r"(?<=127\.0\.0\.1:)\d+",
        r"(?<=: )[0-9a-f]{4}( [0-9a-f]{4})+",
        r"(?<=root )[0-9a-f]+",
        r"\d+(?= (entries|checkpoints|cosignatures))",
    ):
        story = re.sub(changing, "…", story)
    lines = [line.rstrip() for line in story.strip().splitlines()]
    steps = [line for line in lines if re.match(r"  (lgsco|ofsted)  +(accepted|sealed|sent|received) ", line)]
    assert steps
    ends = [line for line in lines if line not in steps]
    return ["", *sorted(line for line in ends if line)]


def test_the_readme_shows_what_the_demo_shows(runner: Runner) -> None:
    [shown, _] = consoles(README)
    command, _, story = shown.partition("\n")
    done = runner.run(command.removeprefix("$ "), [])
    assert (done.exit, done.err) == (0, "")
    assert settled(story) == settled(done.out)


def test_the_two_commands_at_the_top_are_targets_of_the_makefile() -> None:
    [block] = re.findall(r"^```\n(make .*?)^```", README, re.MULTILINE | re.DOTALL)
    commands = [line.split("#")[0].strip() for line in block.splitlines()]
    assert commands == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert all(f"\n{command.removeprefix('make ')}:" in makefile for command in commands)


def test_setting_it_up_for_real_works_as_written(runner: Runner, tmp_path: Path) -> None:
    passphrase = PASSPHRASE.reveal()
    partner = initialise(tmp_path / "ofsted", "ofsted", NAMES["ofsted"], PASSPHRASE, work_factor=1)
    (tmp_path / "phrase").touch(0o600)
    (tmp_path / "phrase").write_text(passphrase)
    card = runner.run(f"handover --home {partner.root} partner card -o card.toml --passphrase-file phrase", [])
    fingerprint = card.out.removeprefix("fingerprint: ").strip()
    [_, block] = consoles(README)
    commands = [line.removeprefix("$ ") for line in block.strip().splitlines()]
    placeholder = "(what Ofsted reads out over the telephone)"
    assert commands[-1] == "handover run"
    assert sum(placeholder in command for command in commands) == 1
    commands[-1] = (
        "handover run < /dev/tty > run.log &\n"
        "for _ in $(seq 300); do grep -q daemon.ready run.log && break; sleep 0.1; done\n"
        "kill $!; wait; cat run.log"
    )
    commands.insert(2, f"cp {tmp_path}/card.toml ofsted.toml; cp {tmp_path}/card.toml.sig ofsted.toml.sig")
    script = "\n".join(["set -e", *commands])
    script = script.replace("/srv/handover", f"{tmp_path}/srv/handover").replace(placeholder, fingerprint)
    asked = ["new passphrase:", "Repeat for confirmation:", "passphrase:", "passphrase:", "passphrase:"]
    done = runner.run(script, [(question, passphrase) for question in asked])
    assert '"event": "daemon.ready"' in done.out, done.err
    assert "added ofsted\n" in done.out
    assert '"event": "daemon.stopped"' in done.out
    assert done.exit == 0
    assert (tmp_path / "srv/handover/outbound/ofsted/upheld-decision").is_dir()


def test_the_table_of_commands_works_as_written(runner: Runner, tmp_path: Path) -> None:
    Scenes(tmp_path / "scenes").set("exchanged", tmp_path)
    rows = runner.run("handover --home lgsco list --state acknowledged", [])
    words = {"ID": rows.out.splitlines()[1].split()[0], "ENVELOPE": "X.age", "DIR": "opened"}
    keys = runner.run("handover --home lgsco keys list --json", [])
    words["VKEY"] = "".join(re.findall(r'"(lgsco/handover\+[^"]+)"', keys.out))
    (tmp_path / f"{CASE} new.pdf").write_bytes(b"new")
    arguments = f"'{CASE} new.pdf' --to ofsted --category upheld-decision --authority Hull -o X.age"
    assert runner.run(f"handover --home lgsco seal {arguments}", []).exit == 0
    tabled = [command for line in README.splitlines() if line.startswith("|") for command in spoken(line)]
    assert len(tabled) >= 7
    for command in tabled:
        home = "ofsted" if " open " in command else "lgsco"
        filled = re.sub(r"\b(ID|ENVELOPE|DIR|VKEY)\b", lambda found: words[found[1]], command)
        done = runner.run(f"HANDOVER_HOME={home} {filled}", [])
        assert done.exit == 0, f"{filled}\n{done.err}"
    assert (tmp_path / "answer.xlsx").read_bytes().startswith(b"PK")
    assert (tmp_path / "opened" / f"{CASE} new.pdf").read_bytes() == b"new"


# --- every page -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", MARKDOWN)
def test_every_command_of_ours_that_is_spoken_of_exists(page: str) -> None:
    for command in spoken(PAGES[page]):
        words = shlex.split(command.removesuffix(" …"))[1:]
        group: click.Command = handover
        context = click.Context(group)
        while isinstance(group, click.Group) and words:
            found = group.get_command(context, words.pop(0))
            assert found is not None, command
            group = found
        for word in words:
            if word.startswith("-"):
                assert any(word in parameter.opts for parameter in group.params), f"{command}: {word}"


@pytest.mark.parametrize("page", MARKDOWN)
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    folder = ROOT if page == "README.md" else ROOT / "docs"
    links = re.findall(r"\]\(([^)#:]+)\)", PAGES[page])
    assert [link for link in links if not (folder / link).exists()] == []


# --- recovery.md ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stranded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipient's folder as after a disaster: the keys, the cards, one envelope; X25519, for Debian 12's age."""
    base = tmp_path_factory.mktemp("stranded")
    homes: dict[str, Home] = {}
    for organisation in NAMES:
        homes[organisation] = initialise(
            base / organisation, organisation, NAMES[organisation], PASSPHRASE, encryption="x25519", work_factor=1
        )
    introduce(homes, base)
    (base / f"{CASE} decision.pdf").write_bytes(b"the decision")
    (base / "phrase").touch(0o600)
    (base / "phrase").write_text(PASSPHRASE.reveal())
    runner = Runner(base)
    arguments = f"'{CASE} decision.pdf' --to ofsted --category upheld-decision --authority Leeds -o ofsted/ID.age"
    done = runner.run(f"handover --home lgsco seal {arguments} --passphrase-file phrase", [])
    assert done.exit == 0, done.err
    lost = tmp_path_factory.mktemp("lost")
    for kept in ("keys", "cards"):
        shutil.copytree(base / "ofsted" / kept, lost / kept)
    shutil.copy(base / "ofsted" / "ID.age", lost)
    return lost


def test_an_envelope_is_opened_with_stock_tools_as_the_manual_says(stranded: Path) -> None:
    unlock, extract, signer, verify, digest = indented(RECOVERY)
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

    def shell(command: str) -> str:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-ec", command],
            cwd=stranded,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return done.stdout

    code, _, said = terminal.run(unlock, [("passphrase", PASSPHRASE.reveal())], stranded, environment, 60)
    assert code == 0, said
    shell(extract)
    assert {"manifest.json", "manifest.json.sig", "payload"} <= {path.name for path in stranded.iterdir()}
    card = (stranded / "cards" / "lgsco.toml").read_text("utf-8")
    [key] = re.findall(r'\[\[signing\]\]\nkey = "(.+)"', card)
    assert signer.endswith("ssh-ed25519 AAAA...")
    (stranded / "allowed_signers").write_text(signer.replace("ssh-ed25519 AAAA...", key) + "\n")
    [promised] = re.findall(r"It must say `(.+)`\.", RECOVERY)
    assert shell(verify).startswith(promised)
    manifest = (stranded / "manifest.json").read_text("utf-8")
    sum_of_payload = shell(digest).split()[0]
    assert f'"sha256":"{sum_of_payload}"' in manifest
    assert f'"name":"{CASE} decision.pdf"' in manifest
    assert '"recipient":"ofsted"' in manifest
    assert (stranded / "payload").read_bytes() == b"the decision"


def test_the_wrong_signer_is_refused_by_the_manuals_command(stranded: Path) -> None:
    """The command proves something: with somebody else's key it fails."""
    [_, _, signer, verify, _] = indented(RECOVERY)
    (stranded / "manifest.json").write_bytes(b"{}")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "other"], cwd=stranded, check=True)
    key = (stranded / "other.pub").read_text().split()
    (stranded / "allowed_signers").write_text(signer.replace("ssh-ed25519 AAAA...", " ".join(key[:2])) + "\n")
    done = subprocess.run(["bash", "-c", verify], cwd=stranded, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Could not verify signature" in done.stdout + done.stderr
