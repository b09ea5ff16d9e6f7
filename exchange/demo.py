"""`handover demo`: two organisations on this machine, files both ways over SFTP, receipts, both ledgers verified.

Everything is real: two homes with keys of their own, two daemons as processes of their own, each with an SFTP server
on the loopback interface. Only the content of the files is made up.
"""

import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from config.errors import NotNow, Tampered
from config.home import Home
from exchange import demo_files, files
from exchange.assembly import assemble
from exchange.audit import verify_home
from exchange.cli import show
from exchange.embedded import keep_host_key, make_host_key
from exchange.partners import add_partner, make_card
from exchange.questions import Row, all_rows
from exchange.secret_source import read_file
from exchange.setup import initialise
from keys.keyring import Keyring, Secret

NAMES = {
    "lgsco": "Local Government and Social Care Ombudsman",
    "ofsted": "Office for Standards in Education, Children's Services and Skills",
}
COUNCIL = "Birmingham"
"""The council that all files are about, as the case content says; its folder stays for the reader's own files."""
PATIENCE = 120.0
"""Seconds until the demo gives up: on two slow cores it takes about ten."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A file that the demo drops: who, to whom, into which folder, and what."""

    sender: str
    partner: str
    category: str
    name: str
    content: bytes


def drops() -> list[Drop]:
    """What is handed over."""
    decision = ("lgsco", "ofsted", "upheld-decision")
    concern = ("ofsted", "lgsco", "unimplemented-recommendation")
    return [
        Drop(*decision, "24 015 493 decision.pdf", demo_files.decision_pdf()),
        Drop(*decision, "24 015 493 case list.csv", demo_files.case_list_csv()),
        Drop(*decision, "24 015 493 scanned bundle.pdf", demo_files.scanned_bundle_pdf()),
        Drop(*concern, "24 015 493 concern.json", demo_files.concern_json()),
    ]


def run_demo(keep: Path | None, *, once: bool) -> None:
    """Run it all; raises NotNow when files do not arrive, Tampered when a ledger does not verify."""
    with ExitStack() as cleanup:
        base = keep or Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="handover-demo-")))
        click.echo("Two organisations on this machine:")
        homes = {organisation: _make_home(base, organisation) for organisation in NAMES}
        _introduce(homes)
        with ExitStack() as running:
            for home in homes.values():
                running.enter_context(_daemon(home))
            click.echo("\nBoth daemons run. Dropping files into the outbound folders:")
            for drop in drops():
                _drop(homes[drop.sender], drop)
            _follow(homes)
            _summary(homes)
            if keep is not None and not once:
                _invite(homes)
                _wait_for_interrupt()
        if keep is not None:
            click.echo(f"\nBoth homes are kept in {base}. Next:  handover --home {base}/lgsco list --all")
        else:
            click.echo("\nNext:  handover demo --keep /tmp/handover-demo   keeps both homes, to drop files by hand")


def _make_home(base: Path, organisation: str) -> Home:
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    root = base / organisation
    port = _free_port()
    passphrase = Secret(secrets.token_urlsafe(24))
    private, public = make_host_key()
    home = initialise(
        root,
        organisation,
        NAMES[organisation],
        passphrase,
        values={
            "keys.passphrase_file": "passphrase",
            "watch.quiet": "1s",
            "watch.rescan": "5s",
            "retry.first": "1s",
            "retry.max": "10s",
            "landing.host": "127.0.0.1",
            "landing.port": port,
            "landing.embedded": True,
            "landing.listen": f"127.0.0.1:{port}",
            "landing.host_keys": [public],
        },
    )
    files.write_new(home.root / "passphrase", passphrase.reveal().encode() + b"\n")
    keep_host_key(home, private)
    click.echo(f"  {organisation:<7} {NAMES[organisation]}, SFTP on 127.0.0.1:{port}")
    return home


def _introduce(homes: dict[str, Home]) -> None:
    """Exchange the cards, as two administrators would, each confirming the other's fingerprint."""
    click.echo("\nExchanging partner cards; each side confirms the other's fingerprint:")
    for mine, theirs in (("lgsco", "ofsted"), ("ofsted", "lgsco")):
        home, partner = homes[mine], homes[theirs]
        card = partner.root / f"{theirs}.toml"
        keyring = Keyring.open(partner.keys, partial(_passphrase, partner))
        made = make_card(partner, keyring, card)
        parts = assemble(home, partial(_passphrase, home))
        with parts.ledger:
            add_partner(parts, card, made.fingerprint)
        click.echo(f"  {mine} trusts {theirs}: {made.fingerprint[:24]} …")


def _passphrase(home: Home) -> Secret:
    file = home.passphrase_file
    if file is None:
        raise NotNow("the demo's home names no passphrase file")
    return read_file(file, "passphrase", "settings")


@contextmanager
def _daemon(home: Home) -> Iterator[None]:
    """A daemon as a process of its own; its log goes to `daemon.log` in the home."""
    with (home.root / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "exchange", "--home", str(home.root), "run"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_until_ready(home, process)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(home: Home, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while b'"daemon.ready"' not in (home.root / "daemon.log").read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            said = (home.root / "daemon.log").read_text("utf-8", "replace").strip().splitlines()
            error = next((line for line in said if line.startswith("error: ")), "error: it said nothing")
            raise NotNow(f"a daemon of the demo did not start: {error.removeprefix('error: ')}")
        time.sleep(0.05)


def _drop(home: Home, drop: Drop) -> None:
    folder = home.outbound / drop.partner / drop.category / COUNCIL
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{drop.name}.part"
    unfinished.write_bytes(drop.content)
    unfinished.rename(folder / drop.name)
    click.echo(
        f"  {drop.sender} -> {drop.partner}  {drop.category}/{COUNCIL}/{drop.name}  ({len(drop.content):,} bytes)"
    )


def _follow(homes: dict[str, Home]) -> None:
    """Print each step of each file as the two ledgers record it, until all are acknowledged."""
    click.echo("\nWhat the ledgers record:")
    said: set[tuple[str, str, str]] = set()
    deadline = time.monotonic() + PATIENCE
    expected = len(drops())
    while True:
        acknowledged = 0
        for organisation, home in homes.items():
            for row in all_rows(home):
                acknowledged += row.direction == "out" and row.state == "acknowledged"
                if (organisation, row.id, row.state) not in said:
                    said.add((organisation, row.id, row.state))
                    click.echo(f"  {organisation:<7} {row.state:<13} {show.harmless(row.name)}")
        if acknowledged == expected:
            return
        if time.monotonic() > deadline:
            raise NotNow(
                f"only {acknowledged} of {expected} files were acknowledged in {PATIENCE:.0f} seconds",
                hint="run it again with --keep DIR and read DIR/*/daemon.log",
            )
        time.sleep(0.1)


def _summary(homes: dict[str, Home]) -> None:
    click.echo("\nEach file's life (UTC):")
    rows: list[tuple[show.Cell, ...]] = []
    for organisation, home in homes.items():
        rows += [_life(organisation, row) for row in all_rows(home) if row.direction == "out"]
    show.table(("from", "file", "dropped", "sealed", "sent", "delivered", "acknowledged"), rows, empty="nothing")
    click.echo("\nBoth ledgers, recomputed from the stored bytes:")
    for organisation, home in homes.items():
        report = verify_home(home)
        verdict = "verified" if report.ok else "NOT VERIFIED"
        click.echo(
            f"  {organisation:<7} {verdict}: {report.size} entries, {report.checkpoints} checkpoints,"
            f" {report.cosignatures} cosignatures by the partner, root {report.root.hex()[:16]}…"
        )
        if not report.ok:
            raise Tampered(f"the ledger of {organisation} does not verify")


def _life(organisation: str, row: Row) -> tuple[show.Cell, ...]:
    times = (row.dropped_at, row.sealed_at, row.sent_at, row.delivered_at, row.acknowledged_at)
    return (organisation, row.name, *(time_[11:23] if time_ else "-" for time_ in times))


def _invite(homes: dict[str, Home]) -> None:
    lgsco = homes["lgsco"]
    click.echo(
        f"\nBoth daemons go on running. Drop a file whose name begins with a complaint reference into\n"
        f"  {lgsco.outbound}/ofsted/upheld-decision/{COUNCIL}/\n"
        f"and look at it with\n"
        f"  handover --home {lgsco.root} list --all\n"
        f"  handover --home {lgsco.root} ledger verify\n"
        f"Ctrl-C ends both."
    )


def _wait_for_interrupt() -> None:
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        signal.pause()
    except KeyboardInterrupt:
        click.echo("\nStopping both daemons.")
    finally:
        signal.signal(signal.SIGTERM, previous)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return int(port)
