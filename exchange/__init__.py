"""Moving files: envelopes, folders, SFTP, the two pipelines, the daemon, and the command line.

Imports all the other rooms.
"""

__version__ = "0.1.0"
