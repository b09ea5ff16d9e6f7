"""Steps 10 and 11 of the incoming pipeline: the content is let out only when all of it has been checked.

    <id>.payload written and synced -> <id>.delivery says where it goes -> renamed into inbound/ -> ledger `delivered`

A crash anywhere in between is recognised by what lies in the spool: with a note and no payload, the file has arrived.
"""

from pathlib import Path

from exchange import files
from exchange.envelope.payload import Payload
from exchange.envelope.sealing import Opened
from exchange.landed import Arrival
from exchange.parts import Parts
from ledger.copies import place_text
from ledger.entry import Draft
from ledger.handover import Handover


def deliver(parts: Parts, arrival: Arrival, opened: Opened, payload: Payload, directory: Path) -> None:
    """Steps 10 and 11. The note of where the file is about to appear is durable before it appears."""
    content = arrival.path.with_suffix(".payload")
    try:
        with content.open("wb") as target:
            opened.copy_payload(target, payload.size)
            files.sync_file(target)
        # a note without the content beside it says that the content has gone to its place
        files.sync_directory(content.parent)
    except Exception:
        # neither what failed its checks nor a part of it lies about, and a full disk has room again
        content.unlink(missing_ok=True)
        raise
    content.chmod(0o640)
    note = arrival.path.with_suffix(".delivery")
    placed = files.place(content, directory, payload.name, note, envelope_sha256=opened.envelope_sha256)
    _record_delivered(parts, arrival, placed, opened.envelope_sha256, opened.manifest_sha256)


def _record_delivered(parts: Parts, arrival: Arrival, target: Path, envelope: str, manifest: str) -> None:
    inbound = parts.home.inbound
    # the folder can be another one since the note was written
    place = {"place": place_text(target.relative_to(inbound).parts)} if target.is_relative_to(inbound) else {}
    parts.ledger.write(
        lambda tx: tx.append(
            Draft(
                event="delivered",
                actor="daemon",
                handover=arrival.path.stem,
                partner=arrival.partner,
                direction="in",
                envelope_sha256=envelope,
                private=place,
                detail={"manifest_sha256": manifest},
            )
        )
    )


def finish(parts: Parts, arrival: Arrival, known: Handover) -> bool:
    """After a crash between rename and record: the note is there, the content has gone to its place."""
    note = arrival.path.with_suffix(".delivery")
    if not note.exists():
        return False
    if not files.was_placed(arrival.path.with_suffix(".payload"), note):
        # the rename did not happen: deliver again from the envelope
        files.remove(note)
        return False
    said = files.read_note(note)
    _record_delivered(
        parts, arrival, Path(said["target"]), said.get("envelope_sha256", ""), known.manifest_sha256 or ""
    )
    parts.spool.finish_incoming(arrival.path)
    return True
