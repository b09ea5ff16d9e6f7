"""Who is who: our private keys at rest, partner cards, partners' public keys, and the two formats made with keys.

Imports config and ledger.
"""
