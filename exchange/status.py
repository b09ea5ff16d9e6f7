"""How a home does: queues, the oldest file, overdue receipts, partners, keys and the ledger at a glance."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from config.errors import HandoverError, Misuse
from config.home import Home
from config.times import system_clock
from exchange import approval_list, custody, files, held, key_list, landing, machine, troubles
from exchange.drop import scan
from exchange.envelope.numbers import in_words
from exchange.partner_trust import agreements_with
from exchange.questions import holds_now, in_flight
from exchange.service import pid_file
from exchange.token_access import token_of
from exchange.topology import Topology
from keys.keyring import Keyring
from keys.rotation import of_ledger
from keys.trust import Trust
from ledger.closing import shown_former
from ledger.gaps import MAX_GAPS, explained, sequence_gaps
from ledger.query import Row, is_quarantine_full, outage, reachability
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
        dropped=sum(1 for _ in scan(home.outbound)),
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
        problems=(problem.message, *_of_the_home(home)),
    )


def status(home: Home, ledger: Ledger, keyring: Keyring, trust: Trust) -> Status:
    """Read everything once; needs no passphrase."""
    rows = in_flight(home, ledger, trust, everything=True)
    open_rows = [row for row in rows if not row.is_final]
    overdue = tuple(row.id for row in rows if row.overdue)
    partners = {partner: reachability(ledger, partner) for partner in agreements_with(home, trust)}
    outages = {partner: cause for partner in partners if (cause := outage(ledger, partner)) is not None}
    gaps = {partner: missing for partner in trust.partners if (missing := sequence_gaps(ledger, partner))}
    reasons = {partner: by_reason for partner in trust.partners if (by_reason := _explained(ledger, partner))}
    recorded = of_ledger(ledger)
    usable = {key.fingerprint for key in recorded.keys if key.ended is None}
    keys: dict[str, str | None] = {i.purpose: i.valid_until for i in keyring.infos() if i.fingerprint in usable}
    about_keys = key_list.problems(keyring, ledger, trust, tuple(partners), home.settings)
    return Status(
        organisation=home.settings.organisation.id,
        dropped=sum(1 for _ in scan(home.outbound)),
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
        problems=_each_once(
            *_problems(rows, overdue, outages, about_keys + _no_way(home, trust)),
            *_refused(home, rows),
            *_incoming(home, ledger, partners),
            *(_not_come(partner, missing) for partner, missing in gaps.items()),
            *_unfinished(ledger),
            *_former(ledger, partners),
            *custody.problems(custody.listing(home, ledger, trust)),
            *_reviews(ledger),
            *approval_list.problems(home, ledger, system_clock()),
            *troubles.problems(ledger, system_clock()),
            *_of_the_home(home),
        ),
    )


def _each_once(*problems: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(problems))


def _problems(
    rows: list[Row],
    overdue: tuple[str, ...],
    outages: dict[str, str],
    more: list[str],
) -> list[str]:
    problems = []
    if overdue:
        have = "handover has" if len(overdue) == 1 else "handovers have"
        problems.append(f"{len(overdue)} {have} no receipt after the deadline: see 'handover list --state overdue'")
    for state in ("held", "quarantined"):
        if number := sum(row.state == state for row in rows):
            problems.append(f"{number} {state}: see 'handover list --state {state}'")
    problems += [_outage(partner, cause) for partner, cause in outages.items()]
    return problems + more


def _refused(home: Home, rows: list[Row]) -> Iterator[str]:
    """Files that came back from a partner, and still lie where they came back to."""
    refused = {row.id: row.partner for row in rows if row.state == "rejected" and row.direction == "out"}
    if not refused:
        return
    try:
        there = held.with_files(home.held)
    except OSError as problem:
        yield f"the files that partners refused cannot be counted, because held/ cannot be read ({problem.strerror})"
        return
    for partner, number in sorted(Counter(refused[identifier] for identifier in there & refused.keys()).items()):
        lie = "file, which lies" if number == 1 else "files, which lie"
        yield f"{partner} refused {number} {lie} in held/: see 'handover list --state rejected'"


def _of_the_home(home: Home) -> list[str]:
    """What can be told without the ledger."""
    problems = []
    if not home.marker.is_file():
        problems.append("the outbound folder has lost its marker file")
    return [*problems, *machine.troubles(home)]


def _incoming(home: Home, ledger: Ledger, partners: Collection[str]) -> Iterator[str]:
    """What has come and cannot be taken, or not be opened, until a person does something."""
    for partner in partners:
        if is_quarantine_full(ledger, partner):
            yield f"the quarantine of {partner} is full: nothing is taken from it until some is released or withdrawn"
    for partner in sorted({path.name for root in (home.landing, home.spool / "in") for path in root.glob("*/")}):
        waiting = [*home.landing.glob(f"{partner}/*.age"), *home.spool.glob(f"in/{partner}/*.age")]
        if waiting and partner not in partners:
            wait = "envelope waits" if len(waiting) == 1 else "envelopes wait"
            yield f"{len(waiting)} {wait} for the card of {partner}: see 'handover partner add'"


def _not_come(partner: str, missing: list[int]) -> str:
    number = f"{len(missing)} or more" if len(missing) == MAX_GAPS else str(len(missing))
    have, numbers = ("handover has", "number") if len(missing) == 1 else ("handovers have", "numbers")
    return f"{number} {have} not come from {partner}, although later ones did: {numbers} {in_words(missing)}"


def _unfinished(ledger: Ledger) -> Iterator[str]:
    """A crash while a person sealed something: it has no envelope that anybody could carry."""
    for handover in ledger.handovers(direction="out", states=("sealed",)):
        if "by_hand" in ledger.entry(handover.first_seq).detail:
            yield f"an envelope made by hand was not finished: 'handover withdraw {handover.id}', and seal it again"


def _former(ledger: Ledger, partners: Collection[str]) -> Iterator[str]:
    """What a new home is told until the partner has its card."""
    for partner in partners:
        if (size := shown_former(ledger, partner)) is not None:
            yield (
                f"{partner} witnesses another ledger of ours, of {size} entries: if this home is new, have {partner}"
                " run 'handover partner add' with our card; if not, an older copy may have been put in its place"
            )


def _explained(ledger: Ledger, partner: str) -> dict[str, list[int]]:
    by_reason: dict[str, list[int]] = {}
    for number, reason in sorted(explained(ledger, partner).items()):
        if ledger.with_number(partner, "in", number) is None:
            by_reason.setdefault(reason, []).append(number)
    return by_reason


def _no_way(home: Home, trust: Trust) -> list[str]:
    """What is wrong with the ways between us and our partners."""
    ways = ((partner, Topology.of(home, trust.card(partner)).problem) for partner in agreements_with(home, trust))
    return [problem.format(partner=partner) for partner, problem in ways if problem is not None]


def _reviews(ledger: Ledger) -> list[str]:
    today = system_clock().date().isoformat()
    reviewed = [(hold.seq, hold.review) for hold in holds_now(ledger).all if hold.review is not None]
    return [f"hold {seq} was to be reviewed by {day}" for seq, day in reviewed if day <= today]


def _outage(partner: str, cause: str) -> str:
    """What keeps us from using a partner's landing zone, in the words that the error had."""
    kind = getattr(landing, cause, None)
    if not (isinstance(kind, type) and issubclass(kind, landing.LandingError)):
        return f"{partner} cannot be reached"
    said = kind.said.format(place=partner)
    return f"{said}: nothing is sent to it" if kind is landing.HostKeyChanged else said


def check_home(home: Home) -> dict[str, str | int | bool | None]:
    """What a home has beside its configuration, which was read, and the ways to its partners; raises what is wrong."""
    from exchange.partner_trust import trusted

    home.check_permissions()
    if apart := machine.on_other_disks(home):
        raise Misuse(f"no file can be moved between the spool and {', '.join(apart)}", hint=files.ONE_DISK)
    approval = approval_list.checked(home)
    token = token_of(home)
    if token is not None:
        token.check()
    trust = trusted(home, None)
    agreements = agreements_with(home, trust)
    ways = {partner: Topology.of(home, trust.card(partner)) for partner in agreements}
    if problems := _no_way(home, trust):
        raise Misuse(
            "; ".join(problems),
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
