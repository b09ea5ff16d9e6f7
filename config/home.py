"""Every path of a home, who may reach it, and how a new one is made.

    handover.toml  ledger.db  daemon.pid                      at fixed places
    keys/  cards/                                             at fixed places
    outbound/  inbound/  held/  sent/                         for case officers; `[folders]` can move them
    spool/  quarantine/  landing/  collect/                   for the service; `[folders]` can move them
    outbound/.handover-outbound                               the marker: no empty mount point has it

A home is found at `--home`, else at `HANDOVER_HOME`, else where the nearest `handover.toml` upward lies, else in the
platform's data directory.

>>> find_root(Path("/srv/a"), "/srv/b", Path("/tmp"), Path("/var/lib/handover"))
PosixPath('/srv/a')
>>> find_root(None, "/srv/b", Path("/tmp"), Path("/var/lib/handover"))
PosixPath('/srv/b')
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from config import durable
from config.errors import Misuse, NotNow

if TYPE_CHECKING:  # pydantic is slow to import, and not every command reads settings
    from config.sample import Value
    from config.settings import Settings

CONFIG_FILE = "handover.toml"
MARKER = ".handover-outbound"
_MARKER_TEXT = "Handover takes files from this folder only while this marker is here: an empty mount point has none.\n"
_BY_OTHERS = 0o077
"""Private keys and the passphrase: the service alone."""
_WRITE = 0o022
"""What is public, but must not be changed: by the service alone."""
_BY_STRANGERS = 0o027
"""Everything else: the service's group may look (the web page reads the ledger), nobody else may do anything."""


@dataclass(frozen=True, slots=True)
class Home:
    """One organisation's folder; all paths are absolute where `root` is."""

    root: Path
    settings: "Settings"

    @classmethod
    def open(cls, root: Path) -> Self:
        """The home at a folder, with its settings; raises Misuse."""
        from config import settings

        root = root.absolute()
        return cls(root, settings.load(root / CONFIG_FILE))

    @classmethod
    def find(
        cls, explicit: Path | None, env: str | None, cwd: Path, environment: Mapping[str, str] = os.environ
    ) -> Self:
        """The home that a command means: `explicit` is `--home`, `env` is `HANDOVER_HOME`; raises Misuse."""
        return cls.open(find_root(explicit, env, cwd, data_directory(environment)))

    @property
    def config_file(self) -> Path:
        """`handover.toml`."""
        return self.root / CONFIG_FILE

    @property
    def ledger(self) -> Path:
        """The ledger's database."""
        return self.root / "ledger.db"

    @property
    def pid_file(self) -> Path:
        """Written and locked by the running daemon."""
        return self.root / "daemon.pid"

    @property
    def keys(self) -> Path:
        """Our own keys; nobody else may look in."""
        return self.root / "keys"

    @property
    def cards(self) -> Path:
        """The cards of our partners."""
        return self.root / "cards"

    @property
    def outbound(self) -> Path:
        """Case officers drop files here: `<partner>/<category>/<authority>/FILE`."""
        return self.root / self.settings.folders.outbound

    @property
    def inbound(self) -> Path:
        """Files that partners sent: `<partner>/<category>/<authority>/FILE`."""
        return self.root / self.settings.folders.inbound

    @property
    def held(self) -> Path:
        """Files that may not go, each with `FILE.why.txt`."""
        return self.root / self.settings.folders.held

    @property
    def sent(self) -> Path:
        """Acknowledged files, each with `FILE.receipt.txt`."""
        return self.root / self.settings.folders.sent

    @property
    def spool(self) -> Path:
        """Work in progress."""
        return self.root / self.settings.folders.spool

    @property
    def quarantine(self) -> Path:
        """What came in and could not be trusted."""
        return self.root / self.settings.folders.quarantine

    @property
    def landing(self) -> Path:
        """Partners upload into `<partner>/` below this."""
        return self.root / self.settings.folders.landing

    @property
    def collect(self) -> Path:
        """Partners without a server collect from `<partner>/` below this."""
        return self.root / self.settings.folders.collect

    @property
    def marker(self) -> Path:
        """The file without which nothing is taken from outbound."""
        return self.outbound / MARKER

    @property
    def passphrase_file(self) -> Path | None:
        """Where the passphrase of the private keys lies, if it lies in a file."""
        file = self.settings.keys.passphrase_file
        return None if file is None else self.root / file

    @property
    def pin_file(self) -> Path | None:
        """Where the PIN of the token lies, if it lies in a file."""
        file = self.settings.token.pin_file
        return None if file is None else self.root / file

    def agreement_files(self) -> tuple[Path, ...]:
        """The agreement files beside the shipped ones."""
        return tuple(self.root / file for file in self.settings.agreements.files)

    def folders(self) -> tuple[Path, ...]:
        """Every folder that a home needs."""
        work = (self.outbound, self.inbound, self.held, self.sent, self.spool, self.quarantine)
        return (self.keys, self.cards, *work, self.landing, self.collect)

    def create_folders(self) -> None:
        """Make what is missing, closed to everybody else, and mark outbound.

        For the person who sets a home up. The daemon must not call it: an outbound folder that was unmounted would
        be made anew, and marked as if it were the real one.
        """
        try:
            for folder in (self.root, *self.folders()):
                _make_private(folder)
            if not self.marker.exists():
                durable.write_file(self.marker, _MARKER_TEXT.encode(), 0o644)
        except OSError as error:
            raise NotNow(f"the folders of the home cannot be made: {_reason(error)}") from None

    def create_partner_folders(self, partner: str, categories: Iterable[str], *, collects: bool = False) -> None:
        """Make `outbound/<partner>/<category>/` for each category, the partner's landing folder, and the one from which
        it `collects`."""
        try:
            for category in categories:
                durable.make_directory(self.outbound / partner / category, 0o700)
            for folder in (self.landing, self.collect) if collects else (self.landing,):
                # What sshd serves belongs to root, who makes this folder; see data/sshd-landing.conf.
                with contextlib.suppress(PermissionError):
                    durable.make_directory(folder / partner, 0o700)
        except OSError as error:
            raise NotNow(f"the folders for {partner} cannot be made: {_reason(error)}") from None

    def check_permissions(self) -> None:
        """Raises Misuse that lists everything which others can reach though they must not, or which is missing."""
        findings = [*self._permission_findings()]
        if findings:
            first, *_ = findings
            several = f"{len(findings)} permissions of the home are wrong\n  " if len(findings) > 1 else ""
            raise Misuse(several + "\n  ".join(f.what for f in findings), hint=first.hint)

    def _permission_findings(self) -> Iterator["_Finding"]:
        yield from _reachable(self.root, "the home", _BY_STRANGERS, missing_is_wrong=True)
        yield from _reachable(self.keys, "the folder of the private keys", _BY_OTHERS, missing_is_wrong=True)
        for number, file in enumerate(sorted(self.keys.iterdir()) if _may_list(self.keys) else [], start=1):
            yield from _reachable(file, f"file {number} in the folder of the private keys ({file.name})", _BY_OTHERS)
        if self.passphrase_file is not None:
            yield from _reachable(self.passphrase_file, "the passphrase file", _BY_OTHERS, missing_is_wrong=True)
        if self.pin_file is not None:
            yield from _reachable(self.pin_file, "the PIN file", _BY_OTHERS, missing_is_wrong=True)
        yield from _reachable(self.config_file, CONFIG_FILE, _WRITE)
        yield from _reachable(self.cards, "the folder of the partners' cards", _WRITE)
        for number, file in enumerate(sorted(self.cards.iterdir()) if _may_list(self.cards) else [], start=1):
            yield from _reachable(file, f"file {number} in the folder of the partners' cards ({file.name})", _WRITE)
        for suffix in ("", "-wal", "-shm"):
            yield from _reachable(self.ledger.with_name(self.ledger.name + suffix), "the ledger", _BY_STRANGERS)
        for folder, name in ((self.spool, "the spool"), (self.quarantine, "the quarantine")):
            yield from _reachable(folder, name, _BY_OTHERS, missing_is_wrong=True)


@dataclass(frozen=True, slots=True)
class _Finding:
    what: str
    hint: str


def _reachable(path: Path, name: str, forbidden: int, *, missing_is_wrong: bool = False) -> Iterator[_Finding]:
    """What is wrong with the mode or the owner of one path; says what was found and the command that mends it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        if missing_is_wrong:
            yield _Finding(f"{name} is missing", f"it belongs at {path}")
        return
    except OSError as error:
        yield _Finding(f"{name} cannot be looked at: {_reason(error)}", f"start with the permissions of {path.parent}")
        return
    mode = stat.S_IMODE(found.st_mode)
    if mode & forbidden:
        good = mode & ~forbidden
        yield _Finding(
            f"{name} can be reached by others (mode {mode:04o}, at most {good:04o})", f"chmod {good:04o} {path}"
        )
    if found.st_uid not in (os.geteuid(), 0):
        yield _Finding(
            f"{name} belongs to another user (number {found.st_uid})", f"run as that user, or: chown --recursive {path}"
        )


def _may_list(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()


def find_root(explicit: Path | None, env: str | None, cwd: Path, data_directory: Path) -> Path:
    """The folder that a command means; it need not be a home yet. An empty `env` counts as none."""
    # SPEC: CLI.md one program: --home, HANDOVER_HOME, nearest handover.toml upward, platform's data directory
    if explicit is not None:
        return explicit
    if env:
        return Path(env)
    for folder in (cwd, *cwd.parents):
        if (folder / CONFIG_FILE).is_file():
            return folder
    return data_directory


def data_directory(environment: Mapping[str, str]) -> Path:
    """Where the platform keeps a user's data: XDG's place, else the customary one below the user's home.

    >>> data_directory({"XDG_DATA_HOME": "/data"})
    PosixPath('/data/handover')
    """
    # SPEC: XDG Base Directory 0.8: all paths set in these variables must be absolute, else ignore them
    base = Path(environment.get("XDG_DATA_HOME", ""))
    return (base if base.is_absolute() else Path("~/.local/share").expanduser()) / "handover"


def _make_private(folder: Path) -> None:
    """Durably, its missing parents with the customary permissions."""
    durable.make_directory(folder.parent, 0o777)
    durable.make_directory(folder, 0o700)


def initialise(
    root: Path,
    organisation: str,
    name: str,
    values: Mapping[str, "Value"] | None = None,
    fill: Callable[[Home], None] = lambda _: None,
) -> Home:
    """Make a home: all folders, the marker, a commented `handover.toml`. Keys and ledger are their rooms' affair:
    `fill` makes them. `handover.toml` comes last, so that what is not finished when the power goes is no home.

    `values` sets more keys than the organisation's, by their dotted names, as they are written in the file:
    `{"keys.passphrase_file": "passphrase", "partners.ofsted.receipt_deadline": "3d"}`. Raises Misuse where
    there is a home already or a value does not fit; nothing has been written then.
    """
    from config import sample, settings

    root = root.absolute()
    text = sample.render({"organisation.id": organisation, "organisation.name": name, **(values or {})})
    try:
        content = text.encode()
    except UnicodeEncodeError:
        raise Misuse("the organisation's name is not valid text", hint="check the terminal's character set") from None
    home = Home(root, settings.parse(content, CONFIG_FILE))
    if durable.is_there(home.config_file):
        raise Misuse(f"there is a home in {root} already", hint="choose another folder")
    try:
        _make_private(root)
    except OSError as error:
        raise NotNow(f"no home can be made in {root}: {_reason(error)}") from None
    home.create_folders()
    fill(home)
    try:
        durable.write_file(home.config_file, content, 0o644)
    except OSError as error:
        raise NotNow(f"no home can be made in {root}: {_reason(error)}") from None
    return home
