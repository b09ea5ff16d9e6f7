"""Our ledger keys: which ones verify our ledger, and which of them sign it now."""

from collections.abc import Sequence
from dataclasses import dataclass

from config.errors import Tampered
from keys import key_info
from keys.key_errors import DamagedKey, MissingKey, SwappedKey
from keys.keyring import Keyring
from ledger import key_events, note
from ledger.view import View

WITHOUT_LEDGER_KEY = "without a backup this home has come to its end: see docs/key-management.md"


@dataclass(frozen=True, slots=True)
class RecordedKeys:
    """Our ledger keys: those sign that the ledger has recorded as in use, whatever else lies in the key folder."""

    keyring: Keyring
    origin: str

    def verifiers(self) -> Sequence[note.Verifier]:
        """See LedgerKeys."""
        self.keyring.reload()
        return ledger_verifiers(self.keyring)

    def signers(self, view: View) -> Sequence[note.Signer]:
        """See LedgerKeys."""
        recorded = key_events.ledger_keys(view)
        if not recorded:
            raise Tampered(
                "the ledger records no ledger key of its own", hint="restore the newest backup of the ledger"
            )
        fingerprints = [key_info.fingerprint_of("ledger", key) for key in recorded]
        try:
            return [self.keyring.note_signer_of(fingerprint, self.origin) for fingerprint in fingerprints]
        except (MissingKey, DamagedKey, SwappedKey) as problem:
            problem.hint = f"{problem.hint}; {WITHOUT_LEDGER_KEY}"
            raise


def ledger_verifiers(keyring: Keyring) -> tuple[note.Verifier, ...]:
    """The public halves of all our ledger keys, old ones included: needs no passphrase."""
    return tuple(note.parse_vkey(info.public) for info in keyring.infos() if info.purpose == "ledger")
