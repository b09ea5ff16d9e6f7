"""The sections of `handover.toml`: each a frozen model, whose descriptions are the manual.

A key's type is its rule (`config/values.py`); its description stands in the sample, the manual and the JSON schema.
"""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from config.values import (
    Administrators,
    CredentialName,
    Duration,
    Folder,
    Host,
    HostKeys,
    KeepFor,
    Listen,
    Pattern,
    Port,
    PostQuantum,
    Size,
    Slug,
    Texts,
    TokenLabel,
    Webhook,
    a_problem,
)


class Section(BaseModel):
    """A table of the file: strict, and unchanged once it was read."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True, strict=True)


class Organisation(Section):
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


class Keys(Section):
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


class Token(Section):
    """A token (a hardware security module) for keys that sign; `handover keys rotate --token` makes one in it."""

    module: Folder | None = Field(
        default=None,
        description="The token's PKCS #11 library; without one there is no token.",
        examples=["/usr/lib/softhsm/libsofthsm2.so"],
    )
    label: TokenLabel = Field(default="handover", description="The label that the token was given.")
    pin_file: Folder | None = Field(
        default=None,
        description="A file that holds the token's PIN; nobody but the service may read it.",
        examples=["token-pin"],
    )
    pin_credential: CredentialName = Field(
        default="handover-token-pin", description="The systemd credential that holds the PIN, used where there is one."
    )


class Folders(Section):
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


class Watch(Section):
    """How dropped files are noticed."""

    rescan: Duration = Field(default=timedelta(seconds=30), description="Look through all folders this often.")
    quiet: Duration = Field(
        default=timedelta(seconds=5), description="A file is complete when it has not changed for this long."
    )
    polling: bool = Field(
        default=False, description="Do not wait for events of the file system (for folders on a network share)."
    )


class Landing(Section):
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


class Agreements(Section):
    """Sharing agreements beside the ones that come with Handover."""

    files: Texts = Field(default=(), description="Agreement files, from the home's folder on.")


class Limits(Section):
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


class Retry(Section):
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


class Alerts(Section):
    """Who is told when something needs a person. Both hooks get an event and ids, never a name."""

    command: Texts = Field(
        default=(), description="A program and its arguments; event, handover id and partner are added.",
        examples=[["/usr/local/bin/page-the-operator"]],
    )  # fmt: skip
    webhook: Webhook | None = Field(
        default=None, description="A URL that gets a POST with the same as JSON.", examples=["http://127.0.0.1:9000/"]
    )


class Metrics(Section):
    """What monitoring reads; `handover metrics` prints the same."""

    listen: Listen | None = Field(
        default=None,
        description="Where the service answers GET /metrics in the text format of Prometheus; every user of this"
        " machine can read it: counts, times and fingerprints, never a name.",
        examples=["127.0.0.1:9464"],
    )


class Approval(Section):
    """Orders that two administrators have to sign; `handover approval policy` shows what of it they have signed."""

    required: tuple[Literal["keys rotate", "keys revoke", "keys accept", "partner add"], ...] = Field(
        default=(),
        description="These commands are carried out when two administrators have signed them; of keys rotate,"
        " keys revoke, keys accept and partner add.",
    )
    administrators: Administrators = Field(
        default=(),
        description='Who may sign, each a text like "dpo ssh-ed25519 AAAA…": a name, and the public half of an SSH key'
        " that the service cannot use. Three or more, so that one key may be lost.",
    )
    expires: Duration = Field(default=timedelta(days=7), description="An order that was not signed by then is void.")
    revoke: Literal["at-once", "wait"] = Field(
        default="at-once",
        description="Whether keys revoke, if it is required, waits for the signatures, or is carried out at once, told"
        " to people, and signed afterwards: as long as a stolen key counts, a thief may use it.",
    )

    @field_validator("required", mode="before")
    @classmethod
    def _as_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _two_people(self) -> "Approval":
        for part, what in ((0, "name"), (2, "key")):
            if len({text.split(" ")[part] for text in self.administrators}) < len(self.administrators):
                raise a_problem(f"two administrators have the same {what}")
        if self.required and len(self.administrators) < 2:
            raise a_problem("two people have to sign, so at least two administrators are needed")
        return self


class Collect(Section):
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


class Partner(Section):
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
    require_pq: PostQuantum = Field(
        default=(),
        description="What must resist quantum computers towards this partner, or is refused: encryption, key-exchange"
        " (of SSH), signature.",
        examples=[["encryption", "key-exchange", "signature"]],
    )
    keep_sent: KeepFor | None = Field(
        default=None,
        description="Keep originals this long after the receipt; none destroys each one as soon as it is acknowledged."
        " Without it the agreement's time holds.",
        examples=["90d"],
    )
    collect: Collect = Collect()
