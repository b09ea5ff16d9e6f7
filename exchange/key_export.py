"""Every public key that counts, ours and our partners', as files that stock tools read: `handover keys export`.

    allowed_signers         ssh-keygen -Y verify -f allowed_signers -I ORG -n manifest@handover [-O verify-time=…]
    known_hosts             ssh -o UserKnownHostsFile=known_hosts, sftp
    ORG/authorized_keys     sshd; with `restrict`: no shell, no forwarding
    ORG/recipients          age -R recipients: whom to encrypt to now
    ORG/ledger.vkeys        verifier keys of C2SP signed notes: who signs, or once signed, that ledger's checkpoints
    ORG/witness.vkeys       the same of those who cosign
    allowed_signers.pq      composite keys, for OpenSSH 10.6 or later; where anybody has one
    ORG/witness-pq.vkeys    the same of post-quantum witness keys

A signing key stays in allowed_signers for ever, also where a partner's newer card does not name it any more, with the
time in which its signatures count: what it signed then can be verified at any time later. A revoked one counts until
somebody else may have had it; a revoked ledger or witness key is left out, because a thief can give what it signs any
time. All other files hold what counts now.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from config.errors import Misuse
from config.home import Home
from config.times import Clock, from_text, system_clock
from exchange import files
from exchange.landing import Address
from exchange.landing_zone import RESTRICT
from exchange.topology import Topology, landing_address, pickup_address
from keys.announcement import Subject
from keys.card_rules import SigningKey
from keys.keyring import Keyring
from keys.own_keys import OwnKey, OwnKeys
from keys.rotation import of_ledger
from keys.trust import Trust, signer_lines
from ledger.store import Ledger

SSH_PORT = 22


def allowed_signers(home: Home, keyring: Keyring, ledger: Ledger, trust: Trust) -> str:
    """Our own signing keys and the partners', each with its time."""
    ours = signer_lines(home.settings.organisation.id, _own_signers(keyring, of_ledger(ledger)))
    return trust.allowed_signers() + ours


def composite_signers(home: Home, keyring: Keyring, ledger: Ledger, trust: Trust) -> str:
    """The same of composite keys: a file of its own, because OpenSSH before 10.6 stops at a line that it knows not."""
    ours = signer_lines(home.settings.organisation.id, _own_signers(keyring, of_ledger(ledger), "signing-pq"))
    return trust.composite_signers() + ours


def export(
    home: Home, keyring: Keyring, ledger: Ledger, trust: Trust, folder: Path, clock: Clock = system_clock
) -> list[str]:
    """Write all files into a new or empty `folder`; returns their names. Raises Misuse where something lies there."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise Misuse(
            f"{folder} is not a new folder",
            hint="a key that was left there by an earlier export might be taken for one that counts",
        )
    contents = dict(_contents(home, keyring, of_ledger(ledger), trust, clock()))
    contents["allowed_signers"] = allowed_signers(home, keyring, ledger, trust)
    composite = composite_signers(home, keyring, ledger, trust)
    contents |= {"allowed_signers.pq": composite} if composite else {}
    for name, text in sorted(contents.items()):
        files.make_directory((folder / name).parent, 0o755)
        files.write_new(folder / name, text.encode(), 0o644)
    return sorted(contents)


def _own_signers(keyring: Keyring, own: OwnKeys, purpose: Subject = "signing") -> Iterator[SigningKey]:
    for info in keyring.infos():
        known = own.find(info.fingerprint)
        if known is None or known.purpose != purpose:
            continue
        key = SigningKey(info.public, info.valid_from)
        for end in (info.valid_until, _end(own, known)):
            if end is not None:
                key = key.ending(from_text(end))
        yield key


def _end(own: OwnKeys, key: OwnKey) -> str | None:
    """From when on what it signed does not count."""
    if key.ended != "revoked":
        return key.ended_at
    said = [sent.signed.announcement for sent in own.announcements if sent.fingerprint == key.fingerprint]
    ends = [key.ended_at, *(one.at for one in said if one.action == "revoke")]
    return min((end for end in ends if end is not None), default=None)


def _contents(home: Home, keyring: Keyring, own: OwnKeys, trust: Trust, now: datetime) -> Iterator[tuple[str, str]]:
    yield "known_hosts", _lines(_known_hosts(home, trust))
    me = home.settings.organisation.id
    yield from _of_one(me, _usable(own, "transport"), _usable(own, "encryption"))
    # also of keys that were replaced: what they signed once can be verified for ever
    infos = [info for info in keyring.infos() if (key := own.find(info.fingerprint)) and key.ended != "revoked"]
    for purpose in ("ledger", "witness", "witness-pq"):
        lines = _lines(info.public for info in infos if info.purpose == purpose)
        if lines or purpose != "witness-pq":
            yield f"{me}/{purpose}.vkeys", lines
    for partner in trust.partners:
        standing = trust.standing(partner)
        yield from _of_one(partner, standing.keys("transport", now), standing.recipient_texts(now))
        for purpose, keys in (("ledger", standing.card.ledger_keys), ("witness", standing.card.witness_keys)):
            yield f"{partner}/{purpose}.vkeys", _lines(key for key in keys if key not in standing.revoked)
        if standing.card.witness_pq:
            keys = standing.card.witness_pq
            yield f"{partner}/witness-pq.vkeys", _lines(key for key in keys if key not in standing.revoked)


def _of_one(organisation: str, transport: Iterable[str], recipients: Iterable[str]) -> Iterator[tuple[str, str]]:
    yield f"{organisation}/authorized_keys", _lines(f"{RESTRICT} {line}" for line in transport)
    yield f"{organisation}/recipients", _lines(recipients)


def _usable(own: OwnKeys, purpose: Subject) -> tuple[str, ...]:
    return tuple(key.public for key in own.usable(purpose))


def _known_hosts(home: Home, trust: Trust) -> Iterator[str]:
    """Our own server's host keys, and those of every server that we log in to."""
    landing = home.settings.landing
    found = [_hosts(landing.host, landing.port, landing.host_keys)] if landing.host is not None else []
    for partner in trust.partners:
        card = trust.card(partner)
        ways = Topology.of(home, card)
        for is_used, address in ((ways.uploads, landing_address), (ways.collects, pickup_address)):
            if is_used:
                found.append(_at(address(home, card)))
    seen: set[str] = set()
    for line in (line for lines in found for line in lines):
        if line not in seen:
            seen.add(line)
            yield line


def _at(address: Address) -> list[str]:
    return _hosts(address.host, address.port, address.host_keys)


def _hosts(host: str, port: int, keys: Iterable[str]) -> list[str]:
    # as ssh writes it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): a port other than 22 stands behind the host in brackets
    name = host if port == SSH_PORT else f"[{host}]:{port}"
    return [f"{name} {' '.join(key.split(' ')[:2])}" for key in keys]


def _lines(texts: Iterable[str]) -> str:
    return "".join(f"{text}\n" for text in texts)
