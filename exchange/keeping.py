"""Whose time holds: how long the original of a sent file is kept, and a received one, and until when that is.

    partners.X.keep_sent   where handover.toml says it             `rule` settings
    flow.keep_sent         else the agreement                      `rule` agreement
    neither                kept until a person has it destroyed    `rule` none

The rule of the day of the receipt is recorded with the original. If today's is another one, the longer time of the two
holds: a slip of the pen in a configuration never destroys what was promised to be kept.

>>> day = timedelta(days=1)
>>> rule_for(Partner(), None, "upheld-decision").to_detail()
{'rule': 'none'}
>>> Rule("settings", 90 * day).to_detail()
{'rule': 'settings', 'keep': '90d'}
>>> longer({"rule": "settings", "keep": "90d"}, Rule("agreement", 30 * day, "ofsted-lgsco/2019-12")).source
'settings'
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from config.agreement import Agreement
from config.sections import Partner
from config.times import from_text
from config.units import keep_text, parse_keep
from ledger.canonical import Json


@dataclass(frozen=True, slots=True)
class Rule:
    """How long a copy is kept after the receipt (or the delivery), and who said so."""

    source: str
    keep: timedelta | None = None
    """Zero: it is destroyed at once. None: nobody said how long."""
    agreement: str | None = None
    """Id and version, where the agreement says it."""

    def to_detail(self) -> dict[str, Json]:
        """As it stands in an entry."""
        said: dict[str, Json] = {"rule": self.source}
        if self.keep is not None:
            said["keep"] = keep_text(self.keep)
        if self.agreement is not None:
            said["agreement"] = self.agreement
        return said

    def until(self, since: str | None) -> datetime | None:
        """When the time of a copy is over that began with the receipt or the delivery; None: never by itself."""
        if self.keep is None or since is None:
            return None
        return from_text(since) + self.keep


def rule_for(settings: Partner, agreement: Agreement | None, category: str | None) -> Rule:
    """The rule of today."""
    if settings.keep_sent is not None:
        return Rule("settings", settings.keep_sent)
    flow = None if agreement is None or category is None else agreement.flow(category)
    if agreement is None or flow is None or flow.keep_sent is None:
        return Rule("none")
    return Rule("agreement", flow.keep_sent, f"{agreement.id}/{agreement.version}")


def longer(recorded: Mapping[str, Json], today: Rule) -> Rule:
    """The rule that holds: the one that was recorded with the original, or today's where that keeps it longer."""
    if "keep" not in recorded:
        return today
    agreement = recorded.get("agreement")
    then = Rule(str(recorded["rule"]), parse_keep(str(recorded["keep"])), None if agreement is None else str(agreement))
    if today.keep is None or then.keep is None or then.keep >= today.keep:
        return then
    return today


def rule_for_received(agreement: Agreement | None, category: str | None) -> Rule:
    """How long a received file is kept, before people look at it again."""
    flow = None if agreement is None or category is None else agreement.flow(category)
    if agreement is None or flow is None or flow.retention is None:
        return Rule("none")
    return Rule("agreement", flow.retention, f"{agreement.id}/{agreement.version}")
