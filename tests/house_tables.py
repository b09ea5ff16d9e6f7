"""What the house promises: which modules are pure, and where each rule of the formats is kept."""

_PURE = {
    "config": "errors mistakes names toml units",
    "config.agreement": "describe file model reference rules table",
    "ledger": "canonical checkpoint entry export handover identifier merkle note tlogproof vkey",
    "keys": (
        "age announcement approval approvals card card_rules composite composite_file openssh own_keys secret sk"
        " sshsig succession token_uri trust"
    ),
    "keys.age": "armor bech32 errors file header hybrid raw64 recipients scrypt source stream wrapping x25519",
    "exchange": "concern refusals retry",
    "exchange.envelope": "absence digest fields key_news manifest numbers payload receipt request sealing tar",
}
PURE = tuple(f"{package}.{name}" for package, names in _PURE.items() for name in names.split())
"""Modules without effects: what they need of the clock, the disk or chance is passed in."""

FRESH_SECRETS = ("keys.age.file", "keys.age.hybrid", "keys.age.scrypt")
"""These may import `secrets` all the same: whoever could pass in the randomness of a file key could weaken it."""

RULES = (
    # FORMATS 1: envelope
    ("keys.age.file", "C2SP age"),
    ("keys.age.header", "C2SP age ABNF"),
    ("keys.age.stream", "C2SP age"),
    ("keys.age.armor", "C2SP age armor"),
    ("keys.age.scrypt", "C2SP age scrypt"),
    ("keys.age.x25519", "C2SP age X25519"),
    ("keys.age.hybrid", "C2SP age mlkem768x25519"),
    ("keys.age.bech32", "BIP 173"),
    ("keys.age.raw64", "RFC 4648"),
    ("keys.age.file", "never mixes post-quantum and classical"),
    ("exchange.envelope.sealing", "binary (not armoured)"),
    ("exchange.envelope.sealing", "exactly these members, in this order"),
    ("exchange.envelope.sealing", "fails if the two hashes differ"),
    ("exchange.envelope.sealing", "trailing members and a second archive"),
    ("exchange.envelope.tar", "POSIX ustar"),
    ("exchange.envelope.tar", "POSIX pax"),
    ("exchange.envelope.tar", "mtime 0, mode 0600, owner 0"),
    ("exchange.envelope.tar", "a link, a device"),
    # FORMATS 2: manifest
    ("exchange.envelope.manifest", "canonical JSON, at most 64 KiB"),
    ("exchange.envelope.manifest", "an unknown manifest version is refused"),
    ("exchange.envelope.sealing", "signed inner data names the outer recipient"),
    ("ledger.identifier", "RFC 9562 5.7"),
    # FORMATS 3: receipt
    ("exchange.envelope.manifest", "FORMATS 3"),
    ("exchange.envelope.receipt", "FORMATS 3"),
    # FORMATS 4: signatures
    ("keys.sshsig", "PROTOCOL.sshsig 2"),
    ("keys.sshsig", "PROTOCOL.sshsig 3"),
    ("keys.sk", "PROTOCOL.u2f"),
    ("keys.openssh", "refuse low-order and non-canonical"),
    ("keys.composite", "draft-ietf-lamps-pq-composite-sigs 3.2"),
    ("keys.composite", "draft-ietf-lamps-pq-composite-sigs 3.3"),
    ("keys.composite_file", "PROTOCOL.key 1"),
    ("keys.trust", "one namespace per purpose"),
    ("keys.approval", "one namespace per purpose"),
    ("keys.trust", "checked against the time at which it was recorded"),
    ("keys.trust", "always with a Z"),
    # FORMATS 5: ledger
    ("ledger.entry", "at most 65,535 bytes"),
    ("ledger.entry", "handover/commit/v1"),
    ("ledger.merkle", "RFC 9162 2.1.1"),
    ("ledger.merkle", "RFC 9162 2.1.3.1"),
    ("ledger.merkle", "RFC 9162 2.1.3.2"),
    ("ledger.merkle", "RFC 9162 2.1.4.1"),
    ("ledger.merkle", "RFC 9162 2.1.4.2"),
    ("ledger.schema", "generated, indexed columns"),
    ("ledger.schema", "triggers refuse UPDATE and DELETE"),
    ("ledger.database", "WAL, synchronous=FULL"),
    ("ledger.note", "C2SP signed-note"),
    ("ledger", "C2SP tlog-cosignature"),
    ("ledger.checkpoint", "C2SP tlog-checkpoint"),
    ("ledger.tlogproof", "C2SP tlog-proof"),
    ("ledger.witness", "C2SP tlog-witness"),
    ("ledger.witness", "check-and-persist is atomic"),
    ("ledger.witness", "the same size with another root"),
    ("ledger.witness", "the same sequence for another id"),
    ("ledger.witness", "I was rolled back"),
    ("ledger.checks", "verify fails on missing evidence"),
    # FORMATS 6 and 7: keys at rest, cards
    ("keys.key_files", "directory 0700, files 0600"),
    ("keys.token_uri", "RFC 7512"),
    ("keys.token", "RFC 8410"),
    ("keys.card", "one public file per organisation"),
    ("keys.card", "pinned to pq or x25519"),
    ("keys.card", "imported only with its fingerprint confirmed"),
)
"""(module or room, words): a line `# SPEC: …` with these words stands where the rule is kept."""
