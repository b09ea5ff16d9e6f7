"""Two real organisations replace every key while files go both ways, daemons die and messages are late."""
