"""What `ledger verify` recomputes, one idea a file: the tree, the entries and the lives they tell, the signatures.

Nothing here trusts a derived value: each check starts from the stored bytes. `ledger/verify.py` runs them all.
"""
