"""What an administrator wrote: settings, the home's paths, sharing agreements, the register of authorities.

Imports nothing of ours. Also home to the words every room uses: the error hierarchy and times.
"""
