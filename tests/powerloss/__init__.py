"""Power cuts: every state in which they may leave the disks during a handover, and a restart on each."""
