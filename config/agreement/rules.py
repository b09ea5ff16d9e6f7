"""May this file go? Every objection that the agreement has, as a sentence that tells a case officer what to do.

The codes are stable and hold nothing personal: they go into the ledger and to the partner. The sentences stay here.

    no-agreement          wrong-direction       unknown-category      unknown-authority     authority-not-in-force
    missing-reference     bad-reference         too-large             empty-file            type-not-allowed
    gateway-not-allowed
"""

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from config.agreement import reference as references
from config.agreement.model import Agreement, Flow, extension
from config.authorities import Authority
from config.units import size_text


@dataclass(frozen=True, slots=True)
class Objection:
    """One reason why a file may not go."""

    code: str
    text: str
    """Whole sentences for a case officer: what is wrong, and what to do."""


def check(
    agreement: Agreement | None,
    *,
    sender: str,
    recipient: str,
    category: str,
    authority: Authority | None,
    name: str,
    size: int,
    reference: str | None,
    gateways: Sequence[str],
    on: datetime.date,
) -> tuple[Objection, ...]:
    """Everything that stands against handing a file over; empty means that it may go.

    `on` is the date of the event, or today where it is not known; `name` counts only for its extension.
    The rules of a flow are not asked where it is not clear which flow is meant.
    """
    if agreement is None or not {sender, recipient} <= set(agreement.parties):
        text = (
            f"There is no agreement under which {sender} may share with {recipient}."
            " Ask your information governance team to have one added."
        )
        return (Objection("no-agreement", text),)
    found = [*_about_the_council(authority, on)]
    if size == 0:
        text = "The file is empty. Check that it was saved completely, then drop it again."
        found.append(Objection("empty-file", text))
    flow = agreement.flow(category)
    if flow is None or (flow.sender, flow.recipient) != (sender, recipient):
        return (_about_the_flow(agreement, flow, sender, recipient), *found)
    about_the_file = _about_the_file(flow, name, size)
    return (*found, *_about_the_reference(flow, reference), *about_the_file, *_about_powers(flow, gateways))


def _about_the_flow(agreement: Agreement, flow: Flow | None, sender: str, recipient: str) -> Objection:
    here = agreement.flows_from(sender, recipient)
    folders = "; ".join(f"{f.category} ({f.title.lower()})" for f in here)
    advice = (
        f"Put it into one of these folders: {folders}."
        if here
        else f"Under this agreement {sender} sends nothing to {recipient}."
    )
    if flow is None:
        return Objection("unknown-category", f"The folder does not name a kind of concern that is agreed. {advice}")
    return Objection(
        "wrong-direction",
        f'Concerns of the kind "{flow.title.lower()}" go from {flow.sender} to {flow.recipient},'
        f" not from {sender} to {recipient}. {advice}",
    )


def _about_the_council(authority: Authority | None, on: datetime.date) -> Iterator[Objection]:
    if authority is None:
        yield Objection(
            "unknown-authority",
            "It is not known which council this is about."
            " Put the file into a folder with the council's name, such as Birmingham.",
        )
    elif not authority.in_force(on):
        yield Objection(
            "authority-not-in-force",
            f"{authority.name} was not responsible for children's services on {on.isoformat()}."
            " Use the council that was, or give the date of the event in the file with the details.",
        )


def _about_the_reference(flow: Flow, reference: str | None) -> Iterator[Objection]:
    right = f"It looks like {references.example(flow.reference_pattern)}"
    if reference is None:
        if flow.reference == "required":
            yield Objection(
                "missing-reference",
                f"The complaint reference is missing. {right}:"
                " write it at the beginning of the file's name, one reference in each name, and drop the file again.",
            )
    elif not references.is_reference(reference, flow.reference_pattern):
        yield Objection(
            "bad-reference",
            f"The complaint reference does not have the right form. {right}, with the blanks. Correct it.",
        )


def _about_the_file(flow: Flow, name: str, size: int) -> Iterator[Objection]:
    if size > flow.max_bytes:
        yield Objection(
            "too-large",
            f"The file is larger than the agreement allows ({size_text(flow.max_bytes)})."
            " Split it, or leave out what is not needed.",
        )
    if extension(name) not in flow.types:
        allowed = ", ".join(kind.upper() for kind in flow.types)
        yield Objection(
            "type-not-allowed",
            f"This kind of file is not in the agreement. Save it as one of these and drop that: {allowed}.",
        )


def _about_powers(flow: Flow, gateways: Sequence[str]) -> Iterator[Objection]:
    wrong = [gateway for gateway in gateways if gateway not in flow.gateways]
    allowed = ", ".join(flow.gateways)
    if wrong:
        yield Objection(
            "gateway-not-allowed",
            f"The agreement does not share this under {', '.join(wrong)}. Name one or more of: {allowed}.",
        )
    elif not gateways:
        yield Objection(
            "gateway-not-allowed", f"No legal power to share this is named. Name one or more of: {allowed}."
        )
