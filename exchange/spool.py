"""The daemon's own work space: one folder per handover, on the same file system as the folders that people see.

    spool/out/<id>/claim.json     what was dropped, and by which names: written before the file is touched
    spool/out/<id>/payload        the file itself, renamed in
    spool/out/<id>/envelope       the sealed object, once complete
    spool/out/<id>/place          where the file is about to appear: written before it leaves the spool
    spool/in/<partner>/.<id>.age.fetched  as much of an envelope as was fetched from a partner's server (`fetched`)
    spool/in/<partner>/<id>.age        an envelope taken from the landing zone, or fetched whole
    spool/in/<partner>/<id>.payload    its content, not yet let out
    spool/in/<partner>/<id>.delivery   where the content is about to appear: written before the rename
    spool/control/<partner>/<id>.age   a control message on its way, or one whose upload was cut off
    spool/destroy/<entry>/             a file that is being destroyed, by the number of its intention

A claim is durable before the file moves, so after a crash each folder here tells on its own what was going on:
a claim without a payload was not begun, a payload without a ledger entry is still to be accepted under the same id.
"""

import contextlib
import errno
import json
import os
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from config.errors import NotNow
from exchange import files
from exchange.drop import Candidate, Sighting, is_open_for_writing
from exchange.failures import Failures
from exchange.fetched import Fetched
from ledger.identifier import is_id

NOT_FOR_US = (errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO)
"""Why a file stays unreadable until a person mends it: its mode, or it is a link, a socket or a pipe."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What was dropped: enough to go on after a crash, in clear, so it never leaves the spool."""

    id: str
    folders: tuple[str, ...]
    name: str
    dropped_at: str
    sidecar: str | None = None
    kind: int = 0
    sidecar_seen: str = ""
    """Which file the sidecar was; empty if there was none, or none that could be read."""
    sighting: Sighting | None = None
    """How the file looked when it was judged complete: what was taken must look the same, also after a crash."""


class Spool:
    """The folders of one home's spool; every method is durable and can be repeated."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._began_in: tuple[int, int] | None = None
        self._out = root / "out"
        self._in = root / "in"
        self._control = root / "control"
        self._destroy = root / "destroy"
        self.overtaken: set[tuple[str, str]] = set()
        """(partner, id) under which something in quarantine may still need another id (exchange/overtaken.py)."""
        self.unfinished: set[str] = set()
        """Ids of claims with which this machine could not go on: the next round takes them up again."""
        self.strays: dict[Path, str] = {}
        """Sidecars without a file that could not be put aside, and which each of them is (exchange/strays.py)."""
        self.came_over: dict[Path, Mapping[str, str]] = {}
        """What SSH agreed on for envelopes that we fetched ourselves, until they are finished; not after a restart."""
        self.destroying = threading.Lock()
        """Held around a destruction: more than one thread comes upon what is to be destroyed."""

    def create(self) -> None:
        """Make the folders, private to the service."""
        for directory in (self._out, self._in, self._control, self._destroy):
            files.make_directory(directory, 0o700)
        self._began_in = self._which()

    def require(self) -> None:
        """Raise NotNow where the folder is not the one that `create` saw.

        Under an unmounted share lies an empty folder, in which every handover would look as if nothing were left to do.
        """
        if self._began_in is not None and self._which() != self._began_in:
            raise NotNow(
                "the spool is not the one with which the service began, so it may be on an unmounted share:"
                " nothing is taken, sent or received",
                hint="mount it again; if the folder was moved for good, start the service again",
            )

    def _which(self) -> tuple[int, int] | None:
        try:
            status = self._root.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    # --- outgoing -------------------------------------------------------------------------------------------

    def claim(self, candidate: Candidate, claim: Claim) -> bool:
        """Take a dropped file under a new id; False if it changed or went away meanwhile (nothing was taken)."""
        failures = Failures()
        taken = self.claim_all([(candidate, claim)], failures)
        failures.raise_first()
        return bool(taken)

    def claim_all(self, wanted: Sequence[tuple[Candidate, Claim]], failures: Failures) -> list[Claim]:
        """The same for many files, which wait for the disk together; returns the claims of those that were taken.

        What fails with one is kept in `failures`; what concerns all is raised, and what is here is gone on with later.
        """
        with self.gone_on_with_later(*(claim.id for _, claim in wanted)):
            self._write_claims([claim for _, claim in wanted])
            moved = [(candidate, claim) for candidate, claim in wanted if self._move_in(candidate, claim, failures)]
            files.sync_directories(self.payload(claim.id).parent for _, claim in moved)
            for folder in {candidate.path.parent for candidate, _ in moved}:
                # the folder of a file that is gone may go too
                with contextlib.suppress(FileNotFoundError):
                    files.sync_directory(folder)
            return [claim for candidate, claim in moved if self._is_untouched(candidate, claim, failures)]

    def begin(self, claim: Claim) -> None:
        """Write down a claim before its file comes."""
        with self.gone_on_with_later(claim.id):
            self._write_claims([claim])

    def _write_claims(self, claims: Sequence[Claim]) -> None:
        """All of them durably, or none."""
        folders = {claim.id: self.payload(claim.id).parent for claim in claims}
        made = []
        try:
            for folder in folders.values():
                folder.mkdir(mode=0o700)
                made.append(folder)
            files.write_all_new({folders[claim.id] / "claim.json": _as_json(claim) for claim in claims})
            files.sync_directory(self._out)
        except OSError:
            for folder in made:
                files.remove_tree(folder)
            raise

    def _move_in(self, candidate: Candidate, claim: Claim, failures: Failures) -> bool:
        """Whether the file is in the spool now, not yet durably; else its claim has ended."""
        payload = self.payload(claim.id)
        with failures.kept(), contextlib.suppress(FileNotFoundError):
            files.rename(candidate.path, payload)
        if taken := files.is_there(payload):
            return taken
        with failures.kept(), self.gone_on_with_later(claim.id):
            files.remove_tree(payload.parent)
        return False

    def _is_untouched(self, candidate: Candidate, claim: Claim, failures: Failures) -> bool:
        """One that was touched between the last look and the rename waits, put back, to come to rest."""
        settled = untouched = False
        with failures.kept():
            untouched = not self.was_touched(claim)
            if not untouched:
                self.put_back(claim, candidate.path.parent)
            settled = True
        if not settled:
            self.unfinished.add(claim.id)
        return untouched

    def sync_payload(self, handover: str) -> None:
        """Make the content of a claimed file durable: whoever dropped it need not have, and from now on it is ours."""
        try:
            handle = os.open(self.payload(handover), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as problem:
            if problem.errno in NOT_FOR_US:
                # a link, a socket, or nothing that we may read: it is held, and nobody asks for its content
                return
            raise
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                os.fsync(handle)
        finally:
            os.close(handle)

    def was_touched(self, claim: Claim) -> bool:
        """Whether a claimed file is not the complete one that was seen: changed since, or still open for writing."""
        payload = self.payload(claim.id)
        if claim.sighting is not None and Sighting.of(payload.lstat()) != claim.sighting:
            return True
        return is_open_for_writing(payload)

    def put_back(self, claim: Claim, directory: Path) -> None:
        """Return a claimed file to the folder where it lay; the claim ends."""
        files.place(self.payload(claim.id), directory, claim.name, self.note(claim.id))
        self.clear(claim.id)

    def outgoing(self) -> list[str]:
        """The id of every handover that has a folder here, oldest first."""
        return sorted(folder.name for folder in self._out.iterdir() if is_id(folder.name))

    def read_claim(self, handover: str) -> Claim | None:
        """The claim of one handover, or None."""
        try:
            raw = json.loads((self._out / handover / "claim.json").read_bytes())
            sighting = Sighting(**raw["sighting"]) if raw.get("sighting") is not None else None
            return Claim(**{**raw, "folders": tuple(raw["folders"]), "sighting": sighting})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise NotNow(f"the spool's note on handover {handover} cannot be read", hint="restore it") from None

    def holds(self, handover: str) -> bool:
        """Whether the file is here, or has left for a place that is noted here."""
        return files.is_there(self.payload(handover)) or self.note(handover).exists()

    @contextmanager
    def gone_on_with_later(self, *handovers: str) -> Iterator[None]:
        """When this block fails, what is still here of these handovers is gone on with by the next round.

        That looks what is here: a disk that has just failed is asked nothing.
        """
        try:
            yield
        except Exception:
            self.unfinished.update(handovers)
            raise

    def payload(self, handover: str) -> Path:
        """The claimed file."""
        return self._out / handover / "payload"

    def note(self, handover: str) -> Path:
        """Where it is noted into which place the file is about to move (`files.place`)."""
        return self._out / handover / "place"

    def envelope(self, handover: str) -> Path:
        """The sealed object; complete if it is there."""
        return self._out / handover / "envelope"

    def clear(self, handover: str) -> None:
        """Forget an outgoing handover whose file has found its last place."""
        # first the note, durably: with it gone, what a crash leaves of the folder says that nothing is left to do
        files.remove(self.note(handover))
        files.remove_tree(self._out / handover)

    # --- incoming -------------------------------------------------------------------------------------------

    def take_in(self, landed: Path, partner: str, name: str, limit: int) -> Path | None:
        """Move an envelope of at most `limit` bytes into the spool; None while another of that name is there."""
        folder = self._in / partner
        files.make_directory(folder, 0o700)
        target = folder / name
        if files.is_there(target):
            return None
        files.bring(landed, target, limit)
        return target

    def taken_in(self, partner: str, name: str) -> Path:
        """Where an envelope lies that was taken in and is not finished."""
        return self._in / partner / name

    def size_taken_in(self, partner: str, name: str) -> int | None:
        """The size of an envelope that is here and not finished; None if there is none of that name."""
        try:
            return self.taken_in(partner, name).lstat().st_size
        except FileNotFoundError:
            return None

    def take_in_all(self, partner: str, contents: Mapping[str, bytes]) -> set[str]:
        """Write small envelopes that were fetched whole, durably; returns the names of those that are new here."""
        folder = self._in / partner
        files.make_directory(folder, 0o700)
        new = {name: data for name, data in contents.items() if not os.path.lexists(folder / name)}
        if new:
            files.write_all_new({folder / name: data for name, data in new.items()})
        return set(new)

    def fetched(self, partner: str) -> Fetched:
        """Where envelopes lie while they are fetched from a partner's server, until they are taken in."""
        return Fetched(self._in / partner)

    def incoming(self) -> Iterator[tuple[str, Path]]:
        """(partner, envelope) for every envelope that was taken in and is not finished."""
        for folder in sorted(self._in.iterdir()):
            if folder.is_dir():
                for path in sorted(folder.glob("*.age")):
                    yield folder.name, path

    def finish_incoming(self, envelope: Path) -> None:
        """Remove an envelope of which everything has been recorded and its content delivered or refused."""
        for path in (envelope.with_suffix(".payload"), envelope.with_suffix(".delivery"), envelope):
            path.unlink(missing_ok=True)
        files.sync_directory(envelope.parent)
        self.came_over.pop(envelope, None)

    def clear_work_files(self) -> None:
        """After a restart: what was half written when the machine stopped is written anew, and what lay beside an
        envelope that is gone has had its use."""
        for folder in self._in.iterdir():
            for path in folder.iterdir():
                alone = path.suffix in (".payload", ".delivery") and not path.with_suffix(".age").exists()
                if alone or (path.name[0] == "." and path.name.endswith(".part")):
                    path.unlink()
            Fetched(folder).recover()

    # --- control messages -----------------------------------------------------------------------------------

    def message(self, partner: str, message: str) -> Path:
        """Where a new control message on its way lies."""
        folder = self._control / partner
        files.make_directory(folder, 0o700)
        return folder / f"{message}.age"

    def cut_off(self, partner: str) -> list[Path]:
        """Control messages whose upload was cut off: as long as one lies here, a part of it may lie on the partner's
        server."""
        folder = self._control / partner
        return sorted(folder.iterdir()) if folder.is_dir() else []

    # --- destruction ------------------------------------------------------------------------------------------

    def destruction(self, intention: int) -> Path:
        """Where a file that is being destroyed lies, out of everybody's reach."""
        return self._destroy / str(intention)

    def destructions(self) -> list[Path]:
        """Every such folder that is there."""
        return [folder for folder in self._destroy.iterdir() if folder.name.isdecimal()]


def _as_json(claim: Claim) -> bytes:
    return json.dumps(asdict(claim), ensure_ascii=True).encode("ascii")
