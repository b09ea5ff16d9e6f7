"""An agreement in words, for `handover agreement show`."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from config import toml
from config.agreement.model import Agreement, Flow, Json
from config.agreement.reference import example
from config.errors import Misuse
from config.units import duration_text, size_text

_WIDTH = 100
"""Columns: fits beside another window."""


@dataclass(frozen=True, slots=True)
class Description:
    """Some agreements, ready to be shown."""

    agreements: tuple[Agreement, ...]

    def to_json(self) -> list[Json]:
        """For `--json`."""
        return [agreement.to_json() for agreement in self.agreements]

    def to_text(self) -> str:
        """For people."""
        return "\n".join(_agreement(agreement) for agreement in self.agreements)


def describe(known: Sequence[Agreement], identifier: str | None = None) -> Description:
    """One of the known agreements, or all; raises Misuse for an unknown id."""
    chosen = tuple(a for a in known if identifier in (None, a.id))
    if identifier is not None and not chosen:
        ids = [a.id for a in known]
        near = toml.did_you_mean(identifier, ids)
        raise Misuse(f"there is no agreement {identifier}{near}", hint=f"known are {', '.join(ids)}")
    return Description(chosen)


def _agreement(agreement: Agreement) -> str:
    head = [
        agreement.title,
        f"  id           {agreement.id}, version {agreement.version}, in force since {agreement.in_force.isoformat()}",
        f"  parties      {', '.join(agreement.parties)}",
        f"  review       {agreement.review.isoformat() if agreement.review else 'no date is set'}",
        f"  fingerprint  {agreement.sha256}",
    ]
    powers = [
        textwrap.fill(text, _WIDTH, initial_indent=f"  {code:<20} ", subsequent_indent=" " * 23)
        for code, text in agreement.gateways
    ]
    return "\n".join([*head, *(_flow(flow) for flow in agreement.flows), "", "Legal powers", *powers, ""])


def _flow(flow: Flow) -> str:
    kept = "" if flow.retention is None else f"\n  kept         {duration_text(flow.retention)}"
    if flow.keep_sent is not None:
        after = f"{duration_text(flow.keep_sent)} after the receipt" if flow.keep_sent else "destroyed with the receipt"
        kept += f"\n  original     {after}"
    return (
        f"\n{flow.title} ({flow.category}): from {flow.sender} to {flow.recipient}\n"
        f"{textwrap.fill(flow.when, _WIDTH, initial_indent='  ', subsequent_indent='  ')}\n"
        f"  files        {', '.join(flow.types)}, up to {size_text(flow.max_bytes)}\n"
        f"  reference    {flow.reference}, such as {example(flow.reference_pattern)}\n"
        f"  powers       {', '.join(flow.gateways)}\n"
        f"  receipt      within {duration_text(flow.receipt_deadline)}{kept}"
    )
