"""Whose key is that, and did it count then: the public keys of all partners, from their cards and what they announced
since (`keys.succession`).

A question is always asked for a moment: the one at which the ledger recorded the signature. So a handover stays
verifiable after its sender's key has ended, and a key that is announced for next month signs nothing today. A key that
a newer card does not name any more (`keys.former`) is asked about only for what the ledger has recorded: whatever the
clock says, nothing that comes now counts because of it.

The same knowledge as a file, for `ssh-keygen -Y verify -f allowed_signers -I lgsco -n manifest@handover …`:

    lgsco namespaces="manifest@handover,…",valid-after="20261124000000Z",valid-before="20271123235959Z" ssh-ed25519 …

OpenSSH takes valid-before as the last second, a card's valid_until is the first moment outside: hence one second less.

>>> Trust([]).card("lgsco")
Traceback (most recent call last):
keys.trust.UntrustedKey: there is no card of 'lgsco'
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from config import times
from config.errors import Misuse, Refused
from keys import age, succession
from keys.announcement import Announcement
from keys.card import Card, SigningKey
from keys.former import Former
from keys.sshsig import CompositeKey, PublicKey
from keys.succession import Standing
from ledger import note

# SPEC: FORMATS 4 one namespace per purpose
NAMESPACES = (
    "manifest@handover",
    "receipt@handover",
    "request@handover",
    "absence@handover",
    "card@handover",
    "announcement@handover",
    "manifest-announcement@handover",
    "acceptance@handover",
)


class UntrustedKey(Refused):
    """A signature does not count: `unknown-sender`, `unknown-key`, `key-expired`, `key-revoked` or
    `key-not-yet-valid`."""

    reason = "unknown-key"


class Trust:
    """All imported cards, one per organisation, and the announcements accepted since. Does not change: what is new
    makes a new Trust."""

    __slots__ = ("_accepted", "_confirmed", "_former", "_standings")

    def __init__(
        self,
        cards: Iterable[Card],
        accepted: Mapping[str, Sequence[Announcement]] | None = None,
        former: Mapping[str, Former] | None = None,
    ) -> None:
        self._confirmed: dict[str, Card] = {}
        self._standings: dict[str, Standing] = {}
        self._accepted = dict(accepted or {})
        self._former = dict(former or {})
        owners: dict[str, str] = {}
        for card in cards:
            if card.organisation in self._confirmed:
                raise Misuse(f"there are two cards of '{card.organisation}'", hint="remove the older one")
            self._confirmed[card.organisation] = card
            whose = card.organisation
            now = succession.standing(card, self._accepted.get(whose, ()), self._former.get(whose, Former()))
            self._standings[card.organisation] = now
            for key in (*now.card.signing_keys, *now.card.signing_pq):
                # whoever shares a key with another can sign in the other's name
                other = owners.setdefault(key.line, card.organisation)
                if other != card.organisation:
                    raise Misuse(
                        f"the cards of '{other}' and '{card.organisation}' hold the same signing key",
                        hint="remove the card that is wrong; ask both whose key it is",
                    )

    def carried(
        self, accepted: Mapping[str, Sequence[Announcement]], former: Mapping[str, Former] | None = None
    ) -> "Trust":
        """The same cards with these announcements, and with `former` signing keys (None: those that it has); raises
        Misuse or AnnouncementRefused."""
        return Trust(self._confirmed.values(), accepted, self._former if former is None else former)

    def following(self, partner: str, one: Announcement) -> "Trust":
        """The same with one more announcement of `partner`."""
        return self.carried({**self._accepted, partner: (*self._accepted.get(partner, ()), one)})

    @property
    def partners(self) -> tuple[str, ...]:
        """The ids of all organisations with a card, sorted."""
        return tuple(sorted(self._confirmed))

    def card(self, partner: str) -> Card:
        """The card of that organisation with the keys that it has announced since; raises UntrustedKey."""
        return self.standing(partner).card

    def confirmed(self, partner: str) -> Card:
        """The card as a person confirmed it; raises UntrustedKey."""
        self.standing(partner)
        return self._confirmed[partner]

    def standing(self, partner: str) -> Standing:
        """Everything that is known of that organisation's keys; raises UntrustedKey."""
        now = self._standings.get(partner)
        if now is None:
            raise UntrustedKey(
                f"there is no card of {partner!r}",
                hint="import it with 'handover partner add'",
                reason="unknown-sender",
            )
        return now

    def signing_key(
        self, partner: str, public: PublicKey | CompositeKey, at: datetime, *, recorded: bool = False
    ) -> None:
        """Return if a signature by `public` at `at` counts as `partner`'s; raises UntrustedKey.

        `recorded` says that `at` is when the ledger recorded this very message: then former keys count in their time.
        """
        # SPEC: FORMATS 4 a signature is checked against the time at which it was recorded
        now = self.standing(partner)
        known = (*now.card.signing_keys, *now.card.signing_pq, *(now.former.keys if recorded else ()))
        keys = [key for key in known if key.line == public.line]
        if any(key.covers(at) for key in keys):
            return
        if not keys:
            raise UntrustedKey(
                f"{public.fingerprint} is not a signing key of '{partner}'",
                hint="ask them whether they have a new key; import their new card",
            )
        if at < times.from_text(keys[0].valid_from):
            raise UntrustedKey(
                f"{public.fingerprint} of '{partner}' is valid only from {keys[0].valid_from}",
                hint="one of the two clocks may be wrong",
                reason="key-not-yet-valid",
            )
        if public.line in now.revoked:
            raise UntrustedKey(
                f"{public.fingerprint} of '{partner}' was revoked: it counts only until {keys[0].valid_until}",
                hint="somebody else may have signed this: ask them by telephone",
                reason="key-revoked",
            )
        raise UntrustedKey(
            f"{public.fingerprint} of '{partner}' was valid only until {keys[0].valid_until}",
            hint="ask them for their new card",
            reason="key-expired",
        )

    def recipients(self, partner: str, at: datetime) -> tuple[age.Recipient, ...]:
        """Whom to encrypt to at that time; all of the kind that the newest pins. The first is the preferred one."""
        texts = self.standing(partner).recipient_texts(at)
        return tuple(age.parse_recipient(text) for text in texts)

    def ledger_verifiers(self, partner: str) -> tuple[note.Verifier, ...]:
        """The keys that sign the partner's checkpoints, or once did; none that was revoked."""
        now = self.standing(partner)
        return tuple(note.parse_vkey(text) for text in now.card.ledger_keys if text not in now.revoked)

    def ended_ledger_keys(self, partner: str) -> frozenset[bytes]:
        """Of these, the ids of those that vouch for nothing new."""
        now = self.standing(partner)
        return frozenset(note.parse_vkey(text).key_id for text in now.card.ledger_keys if text in now.ended)

    def witness_verifiers(self, partner: str) -> tuple[note.Verifier, ...]:
        """The keys with which the partner cosigns our checkpoints, or once did; none that was revoked."""
        now = self.standing(partner)
        keys = (*now.card.witness_keys, *now.card.witness_pq)
        return tuple(note.parse_vkey(text) for text in keys if text not in now.revoked)

    def ended_witness_keys(self, partner: str) -> frozenset[bytes]:
        """Of these, the ids of those that cosign nothing new."""
        now = self.standing(partner)
        keys = (*now.card.witness_keys, *now.card.witness_pq)
        return frozenset(note.parse_vkey(text).key_id for text in keys if text in now.ended)

    def cosigned_with(self, partner: str) -> tuple[note.Verifier, ...]:
        """Every key with which the partner ever cosigned: what was recorded before a key's end verifies for ever."""
        card = self.standing(partner).card
        return tuple(note.parse_vkey(text) for text in (*card.witness_keys, *card.witness_pq))

    def composite(self, partner: str) -> bool:
        """Whether that organisation has shown a composite key, now or before; raises UntrustedKey."""
        return bool(self.standing(partner).card.signing_pq)

    def once_signed(self, partner: str, public: PublicKey | CompositeKey) -> bool:
        """Whether it is a former signing key of that organisation; raises UntrustedKey."""
        return any(key.line == public.line for key in self.standing(partner).former.keys)

    def allowed_signers(self) -> str:
        """The text of an OpenSSH allowed_signers file that says the same, of former keys, too."""
        found = ((partner, self.standing(partner)) for partner in self.partners)
        return "".join(signer_lines(who, (*now.former.signing, *now.card.signing_keys)) for who, now in found)

    def composite_signers(self) -> str:
        """The same of composite keys."""
        found = ((partner, self.standing(partner)) for partner in self.partners)
        return "".join(signer_lines(who, (*now.former.signing_pq, *now.card.signing_pq)) for who, now in found)


def signer_lines(organisation: str, keys: Iterable[SigningKey]) -> str:
    """The lines of allowed_signers for one organisation: each key counts in its time, for our namespaces."""
    return "".join(f"{organisation} {_options(key)} {key.line}\n" for key in keys)


def _options(key: SigningKey) -> str:
    # SPEC: FORMATS 4 allowed_signers with namespaces=, valid-after=, valid-before=, always with a Z
    options = [f'namespaces="{",".join(NAMESPACES)}"', f'valid-after="{_stamp(times.from_text(key.valid_from))}"']
    if key.valid_until is not None:
        options.append(f'valid-before="{_stamp(times.from_text(key.valid_until) - timedelta(seconds=1))}"')
    return ",".join(options)


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%d%H%M%S}Z"
