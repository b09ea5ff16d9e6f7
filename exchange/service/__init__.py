"""The background service: its threads and their rounds, what wakes them, and whom it tells."""
