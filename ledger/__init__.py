"""What happened: an append-only Merkle tree of entries, signed checkpoints, proofs, and the questions asked of it.

Imports config. A handover's state is a pure function of its entries (`ledger/handover.py`).
"""
