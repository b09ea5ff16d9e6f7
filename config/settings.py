"""What `handover.toml` says: one frozen model, from which the sample, the manual's page and the JSON schema are made.

    handover.toml --read--> Settings --.partner("ofsted")--> Partner
                     |
                     +--> BadFile: every mistake at once, each as FILE:LINE: SECTION.KEY: WHAT

The loader is strict: an unknown key is a mistake (with the nearest known one as a hint), `"22"` is not a number, and a
duration or a size is text with a unit. Paths that are not absolute start at the home's folder.

>>> settings = parse(b'[organisation]\\nid = "lgsco"\\nname = "The Ombudsman"\\n[watch]\\nquiet = "2s"\\n')
>>> settings.organisation.id, settings.watch.quiet.seconds, settings.limits.max_bytes
('lgsco', 2, 10737418240)
>>> parse(b'[organisation]\\nid = "lgsco"\\n[wacth]\\n')
Traceback (most recent call last):
config.toml.BadFile: handover.toml has 2 mistakes
  handover.toml:1: organisation.name: is missing
  handover.toml:3: wacth: is not a section that Handover knows; did you mean "watch"?
"""

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from config import toml
from config.errors import Misuse
from config.mistakes import explain
from config.values import (
    CredentialName,
    Duration,
    Folder,
    Host,
    HostKeys,
    KeepFor,
    Listen,
    Pattern,
    Port,
    Size,
    Slug,
    Texts,
    Webhook,
    a_problem,
)

FILE_NAME = "handover.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Organisation(_Section):
    """Who this home belongs to."""

    id: Slug = Field(
        description="The short name that partners, folders and ledgers use; never changed later.", examples=["lgsco"]
    )
    name: str = Field(
        min_length=1,
        max_length=200,
        description="The full name, for people.",
        examples=["Local Government and Social Care Ombudsman"],
    )


class Keys(_Section):
    """How the private keys are unlocked, and which kind of encryption a new home asks its partners for."""

    passphrase_file: Folder | None = Field(
        default=None,
        description="A file that holds the passphrase of the private keys; nobody but the service may read it.",
        examples=["passphrase"],
    )
    passphrase_credential: CredentialName = Field(
        default="handover-passphrase",
        description="The systemd credential that holds the passphrase, used where there is one.",
    )
    renew: Duration = Field(
        default=timedelta(days=730),
        description="A key of ours is to be replaced this long after it was made; status and alerts say so in time.",
    )
    encryption: Literal["pq", "x25519"] = Field(
        default="pq",
        description="Kind of new encryption keys: pq resists quantum computers, x25519 is for partners with old tools.",
    )


class Folders(_Section):
    """Where the files lie. All but landing and collect belong on one disk, because files move by renaming."""

    outbound: Folder = Field(default=Path("outbound"), description="Case officers drop files here.")
    inbound: Folder = Field(default=Path("inbound"), description="Files from partners arrive here.")
    held: Folder = Field(default=Path("held"), description="Files that may not go, each with the reason beside it.")
    sent: Folder = Field(default=Path("sent"), description="Files that were acknowledged, each with its receipt.")
    spool: Folder = Field(default=Path("spool"), description="Work in progress; nobody but the service looks here.")
    quarantine: Folder = Field(default=Path("quarantine"), description="What came in and could not be trusted.")
    landing: Folder = Field(default=Path("landing"), description="Partners upload here, each into a folder of its own.")
    collect: Folder = Field(
        default=Path("collect"), description="Partners without a server collect here, each from a folder of its own."
    )


class Watch(_Section):
    """How dropped files are noticed."""

    rescan: Duration = Field(default=timedelta(seconds=30), description="Look through all folders this often.")
    quiet: Duration = Field(
        default=timedelta(seconds=5), description="A file is complete when it has not changed for this long."
    )
    polling: bool = Field(
        default=False, description="Do not wait for events of the file system (for folders on a network share)."
    )


class Landing(_Section):
    """Where partners bring their files, as our public card tells them. `{partner}` stands for the partner's id."""

    host: Host | None = Field(
        default=None, description="Our SFTP server's name; without it our card offers no landing zone.",
        examples=["sftp.lgsco.example"],
    )  # fmt: skip
    port: Port = Field(default=22, description="Its port.")
    user: Pattern = Field(default="{partner}", description="The user as whom a partner logs in.")
    path: Pattern = Field(default="{partner}", description="The folder, as the partner sees it, into which it uploads.")
    host_keys: HostKeys = Field(
        default=(), description="The server's public host keys, as in /etc/ssh/ssh_host_ed25519_key.pub."
    )
    embedded: bool = Field(default=False, description="Run a small SFTP server ourselves (for the demo and for tests).")
    listen: Listen = Field(
        default="127.0.0.1:0", description="Where the embedded server listens; only this machine can reach it."
    )


class Agreements(_Section):
    """Sharing agreements beside the ones that come with Handover."""

    files: Texts = Field(default=(), description="Agreement files, from the home's folder on.")


class Limits(_Section):
    """What this service takes at most; an agreement may allow less."""

    max_file: Size = Field(default=10 * 2**30, description="The largest file that is sent or accepted.")
    quarantine: Size = Field(
        default=20 * 2**30,
        description="When so much from one partner lies in quarantine, nothing more is taken from it.",
    )
    quarantine_files: int = Field(default=1000, ge=1, description="The same for the number of files.")

    @property
    def max_bytes(self) -> int:
        """The largest file, in bytes."""
        return self.max_file


class Retry(_Section):
    """When a partner's server counts as lost, and how long to wait before the next try; the wait doubles each time."""

    first: Duration = Field(default=timedelta(seconds=5), description="The first wait.")
    max: Duration = Field(default=timedelta(minutes=15), description="The longest wait.")
    timeout: Duration = Field(
        default=timedelta(seconds=30), description="A server that is silent for this long when it should speak is lost."
    )
    resend: Duration = Field(
        default=timedelta(hours=6),
        description="Send a handover once more after so long without a receipt, later after twice and four times this.",
    )

    @model_validator(mode="after")
    def _grows(self) -> "Retry":
        if self.max < self.first:
            raise a_problem("max must not be shorter than first")
        return self


class Alerts(_Section):
    """Who is told when something needs a person. Both hooks get an event and ids, never a name."""

    command: Texts = Field(
        default=(), description="A program and its arguments; event, handover id and partner are added.",
        examples=[["/usr/local/bin/page-the-operator"]],
    )  # fmt: skip
    webhook: Webhook | None = Field(
        default=None, description="A URL that gets a POST with the same as JSON.", examples=["http://127.0.0.1:9000/"]
    )


class Collect(_Section):
    """How we collect what a partner has for us on its server: for an organisation that has no server of its own."""

    enabled: bool | None = Field(
        default=None,
        description="Whether we collect; without it, we do if the partner has a landing zone and we have none.",
        examples=[True],
    )
    path: Pattern = Field(default="collect/{partner}", description="Our pick-up folder there, as we see it.")
    every: Duration = Field(
        default=timedelta(seconds=30),
        description="Look there this often; each pause is cut by up to a half at random, so that not all come at once.",
    )
    host: Host | None = Field(
        default=None, description="The server, where it is not the one to which we upload.", examples=["10.0.0.8"]
    )
    port: Port | None = Field(default=None, description="That server's port.", examples=[22])
    user: Pattern | None = Field(default=None, description="The user as whom we log in there.", examples=["lgsco"])
    host_keys: HostKeys = Field(
        default=(), description="That server's public host keys; without any, those of the partner's card."
    )


class Partner(_Section):
    """What differs for one partner; `[partners.ofsted]` is about the partner with the id `ofsted`."""

    agreement: Slug | None = Field(
        default=None, description="The agreement under which we share; without it the one that names us both.",
        examples=["ofsted-lgsco"],
    )  # fmt: skip
    host: Host | None = Field(
        default=None, description="Its SFTP server, where its card is not right for us.", examples=["10.0.0.7"]
    )
    port: Port | None = Field(default=None, description="That server's port.", examples=[22])
    user: Pattern | None = Field(default=None, description="The user as whom we log in there.", examples=["lgsco"])
    path: Pattern | None = Field(default=None, description="The folder there into which we upload.", examples=["lgsco"])
    collects: bool = Field(
        default=False,
        description="It collects from our server although its card offers a landing zone (as a firewall may demand).",
    )
    receipt_deadline: Duration | None = Field(
        default=None,
        description="A handover without a receipt is overdue after this; without it the agreement's deadline.",
        examples=["3d"],
    )
    accept_rotation: Literal["chain", "confirm"] = Field(
        default="confirm",
        description="Whether a new key of the partner counts when its old one vouches for it (chain), or only when a"
        " person has confirmed its fingerprint (confirm): a thief of the old key could vouch, too.",
    )
    keep_sent: KeepFor | None = Field(
        default=None,
        description="Keep originals this long after the receipt; none destroys each one as soon as it is acknowledged."
        " Without it the agreement's time holds.",
        examples=["90d"],
    )
    collect: Collect = Collect()


class Settings(_Section):
    """Everything that `handover.toml` can say."""

    organisation: Organisation
    keys: Keys = Keys()
    folders: Folders = Folders()
    watch: Watch = Watch()
    landing: Landing = Landing()
    agreements: Agreements = Agreements()
    limits: Limits = Limits()
    retry: Retry = Retry()
    alerts: Alerts = Alerts()
    partners: dict[Slug, Partner] = Field(default={})

    def to_json(self) -> dict[str, Any]:
        """Every setting in force, defaults included, as it is written in the file; null where nothing holds."""
        return self.model_dump(mode="json")

    def to_toml(self) -> str:
        """The same as a `handover.toml`: `parse(settings.to_toml().encode()) == settings`."""
        said = self.to_json()
        partners = said.pop("partners")
        for partner, section in partners.items():
            collect = section.pop("collect")
            said |= {f"partners.{partner}": section, f"partners.{partner}.collect": collect}
        return "\n".join(
            "\n".join([f"[{name}]", *(f"{key} = {toml.write(v)}" for key, v in section.items() if v is not None), ""])
            for name, section in said.items()
        )

    def partner(self, partner: str) -> Partner:
        """What is said about a partner; the defaults where nothing is."""
        return self.partners.get(partner, _NOTHING_SAID)


_NOTHING_SAID = Partner()
# The home's own entries, which no folder may be, hold or lie in.
_RESERVED = {name: Path(name) for name in ("keys", "cards", "ledger.db", "daemon.pid", FILE_NAME)}


class _Finding(NamedTuple):
    path: toml.Path
    what: str


def parse(content: bytes, file: str = FILE_NAME) -> Settings:
    """Settings from the bytes of a file; `file` is its name for messages. Raises BadFile with every mistake."""
    document = toml.read(content, file)
    try:
        settings = Settings.model_validate(document.data)
    except ValidationError as error:
        raise toml.BadFile(file, explain(error, document, Settings)) from None
    findings = _across_sections(settings)
    if findings:
        problems = [toml.Problem(document.line(f.path), ".".join(map(str, f.path)), f.what) for f in findings]
        raise toml.BadFile(file, problems)
    return settings


def load(path: Path) -> Settings:
    """Settings from a file; raises Misuse (BadFile where the file can be read but not used)."""
    try:
        with path.open("rb") as file:
            content = file.read(toml.MAX_FILE + 1)
    except FileNotFoundError:
        raise Misuse(
            f"there is no {path.name} in {path.parent}",
            hint="'handover init DIR --org ID --name NAME' makes a home; --home DIR or HANDOVER_HOME names one",
        ) from None
    except OSError as error:
        raise Misuse(f"{path} cannot be read: {(error.strerror or 'unknown reason').lower()}") from None
    return parse(content, path.name)


def schema() -> dict[str, object]:
    """The JSON schema of `handover.toml`, for editors that understand it."""
    drawn = Settings.model_json_schema()
    for place in drawn["properties"].values():
        place.pop("default", None)  # each key below shows its own, as it is written in the file
    inner = [field.annotation for name, field in Settings.model_fields.items() if name != "partners"]
    for section in (*inner, Partner, Collect):
        if section and section is not Organisation:
            for key, value in section().model_dump(mode="json").items():
                drawn["$defs"][section.__name__]["properties"][key]["default"] = value
    drawn["$defs"]["Partner"]["properties"]["collect"].pop("default")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **drawn}


def _across_sections(settings: Settings) -> list[_Finding]:
    """Mistakes that no single value shows."""
    found = []
    if settings.organisation.id in settings.partners:
        found.append(_Finding(("partners", settings.organisation.id), "is this organisation itself"))
    folders: dict[str, Path] = {name: getattr(settings.folders, name) for name in Folders.model_fields}
    taken = dict(_RESERVED)
    for name, folder in folders.items():
        for other, place in taken.items():
            if folder == place or folder in place.parents or place in folder.parents:
                what = f"{other} of the home" if other in _RESERVED else f"the {other} folder"
                found.append(_Finding(("folders", name), f"overlaps with {what}; give it a place of its own"))
                break
        taken[name] = folder
    return found
