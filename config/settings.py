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

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from config import toml
from config.errors import Misuse
from config.mistakes import explain
from config.sections import (
    Agreements,
    Alerts,
    Approval,
    Collect,
    Folders,
    Keys,
    Landing,
    Limits,
    Metrics,
    Organisation,
    Partner,
    Retry,
    Section,
    Token,
    Watch,
)
from config.values import Slug

FILE_NAME = "handover.toml"


class Settings(Section):
    """Everything that `handover.toml` can say."""

    organisation: Organisation
    keys: Keys = Keys()
    token: Token = Token()
    folders: Folders = Folders()
    watch: Watch = Watch()
    landing: Landing = Landing()
    agreements: Agreements = Agreements()
    limits: Limits = Limits()
    retry: Retry = Retry()
    alerts: Alerts = Alerts()
    metrics: Metrics = Metrics()
    approval: Approval = Approval()
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
