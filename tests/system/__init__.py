"""The real program against real OpenSSH."""
