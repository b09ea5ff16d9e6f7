"""How a home does: queues, the oldest file, overdue receipts, partners, keys and the ledger at a glance."""

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from config.errors import HandoverError, Misuse
from config.home import Home
from config.times import system_clock
from exchange import approval_list, files, key_list, machine, problems
from exchange.drop import scan
from exchange.envelope.numbers import in_words
from exchange.partner_trust import agreements_with
from exchange.problems import Known
from exchange.questions import in_flight
from exchange.service import pid_file
from exchange.token_access import token_of
from exchange.topology import Topology, own_landing
from keys.keyring import Keyring
from keys.rotation import of_ledger
from keys.trust import Trust
from ledger.gaps import explained, sequence_gaps
from ledger.query import reachability
from ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class Status:
    """Everything `handover status` says; `problems` is what needs a person."""

    organisation: str
    dropped: int
    states: dict[str, int]
    oldest: str | None
    overdue: tuple[str, ...]
    owed: dict[str, int]
    """Receipts that have not gone yet, by partner."""
    on_hold: int
    gaps: dict[str, list[int]]
    """Running numbers that never came, by partner."""
    explained: dict[str, dict[str, list[int]]]
    """Those that will never come, by partner and reason."""
    partners: dict[str, str]
    keys: dict[str, str | None]
    ledger_size: int | None
    ledger_root: str | None
    """None where the ledger cannot be used; then nothing is known that only it knows."""
    daemon: bool
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Stable field names for programs."""
        return {name: getattr(self, name) for name in self.__slots__}

    def to_lines(self) -> dict[str, str | int | bool | None]:
        """Labels and values for a person."""
        none = "none yet" if self.ledger_root else "not known"
        counted = ", ".join(f"{number} {state}" for state, number in sorted(self.states.items()))
        return {
            "organisation": self.organisation,
            "daemon": "running" if self.daemon else "not running",
            "waiting in outbound": self.dropped,
            "handovers": counted or none,
            "oldest unfinished": self.oldest,
            "overdue": ", ".join(self.overdue) or None,
            "on hold": self.on_hold or None,
            "receipts to send": ", ".join(f"{number} to {partner}" for partner, number in self.owed.items()) or None,
            "never to come": "; ".join(
                f"{partner}: {in_words(numbers)} ({reason})"
                for partner, reasons in self.explained.items()
                for reason, numbers in reasons.items()
            )
            or None,
            "partners": ", ".join(f"{partner} ({state})" for partner, state in self.partners.items()) or none,
            "keys": ", ".join(f"{purpose} until {until or 'no end'}" for purpose, until in self.keys.items()),
            "ledger": f"{self.ledger_size} entries, root {self.ledger_root[:16]}…"
            if self.ledger_root
            else "not usable",
            "problems": "; ".join(self.problems) or "none",
        }


def answer(
    home: Home, keyring: Keyring, ledger: Callable[[], Ledger], trust: Callable[[], Trust]
) -> tuple[Status, HandoverError | None]:
    """The status; with a ledger, or cards, that cannot be used as much of it as is known, and what was wrong."""
    try:
        return status(home, ledger(), keyring, trust()), None
    except HandoverError as problem:
        return _without_ledger(home, keyring, problem), problem


def _without_ledger(home: Home, keyring: Keyring, problem: HandoverError) -> Status:
    keys: dict[str, str | None] = {info.purpose: info.valid_until for info in keyring.infos()}
    return Status(
        organisation=home.settings.organisation.id,
        dropped=_dropped(home),
        states={},
        oldest=None,
        overdue=(),
        on_hold=0,
        owed={},
        gaps={},
        explained={},
        partners={},
        keys=keys,
        ledger_size=None,
        ledger_root=None,
        daemon=pid_file.is_held(home.pid_file),
        problems=(problem.message, *problems.of_the_home(home)),
    )


def status(home: Home, ledger: Ledger, keyring: Keyring, trust: Trust) -> Status:
    """Read everything once; needs no passphrase."""
    rows = in_flight(home, ledger, trust, everything=True)
    open_rows = [row for row in rows if not row.is_final]
    overdue = tuple(row.id for row in rows if row.overdue)
    partners = {partner: reachability(ledger, partner) for partner in agreements_with(home, trust)}
    gaps = {partner: missing for partner in trust.partners if (missing := sequence_gaps(ledger, partner))}
    reasons = {partner: by_reason for partner in trust.partners if (by_reason := _explained(ledger, partner))}
    recorded = of_ledger(ledger)
    usable = {key.fingerprint for key in recorded.keys if key.ended is None}
    keys: dict[str, str | None] = {i.purpose: i.valid_until for i in keyring.infos() if i.fingerprint in usable}
    about_keys = key_list.problems(keyring, ledger, trust, tuple(partners), home.settings)
    return Status(
        organisation=home.settings.organisation.id,
        dropped=_dropped(home),
        states=dict(Counter(row.state for row in rows)),
        oldest=min((since for row in open_rows if (since := row.dropped_at or row.received_at)), default=None),
        overdue=overdue,
        owed=dict(Counter(handover.partner for handover in ledger.handovers(direction="in", receipt="due"))),
        on_hold=sum(row.hold is not None for row in rows),
        gaps=gaps,
        explained=reasons,
        partners=partners,
        keys=keys,
        ledger_size=ledger.size,
        ledger_root=ledger.root().hex(),
        daemon=pid_file.is_held(home.pid_file),
        problems=problems.all_of(Known(home, ledger, trust, rows, partners, gaps, system_clock()), about_keys),
    )


def _dropped(home: Home) -> int:
    """How many wait; where the folder cannot be read, its problem says so."""
    with contextlib.suppress(OSError):
        return sum(1 for _ in scan(home.outbound))
    return 0


def _explained(ledger: Ledger, partner: str) -> dict[str, list[int]]:
    by_reason: dict[str, list[int]] = {}
    for number, reason in sorted(explained(ledger, partner).items()):
        if ledger.with_number(partner, "in", number) is None:
            by_reason.setdefault(reason, []).append(number)
    return by_reason


def check_home(home: Home) -> dict[str, str | int | bool | None]:
    """What a home has beside its configuration, which was read, and the ways to its partners; raises what is wrong."""
    from exchange.partner_trust import trusted

    home.check_permissions()
    own_landing(home.settings)
    if apart := machine.on_other_disks(home):
        raise Misuse(f"no file can be moved between the spool and {', '.join(apart)}", hint=files.ONE_DISK)
    approval = approval_list.checked(home)
    token = token_of(home)
    if token is not None:
        token.check()
    trust = trusted(home, None)
    agreements = agreements_with(home, trust)
    ways = {partner: Topology.of(home, trust.card(partner)) for partner in agreements}
    if wrong := problems.no_way(home, trust):
        raise Misuse(
            "; ".join(wrong),
            hint="one side needs an SFTP server: set landing.host in handover.toml and give out the new card,"
            " or ask the partner for a card with a landing zone",
        )
    return {
        "ok": True,
        "home": str(home.root),
        "organisation": home.settings.organisation.id,
        "partners": ", ".join(trust.partners) or None,
        "agreements": ", ".join(f"{a.id}/{a.version}" for a in agreements.values()) or None,
        **({"token": home.settings.token.label} if token is not None else {}),
        "ways": "; ".join(f"{partner}: {way.said}" for partner, way in ways.items()) or None,
        "approval": approval,
    }
