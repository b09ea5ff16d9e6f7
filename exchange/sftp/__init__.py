"""SFTP as both sides speak it: a client that trusts no answer, the embedded server, and the bytes between them."""
