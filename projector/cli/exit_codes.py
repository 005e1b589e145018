"""The exit codes of all commands. docs/operating.md says what to do at each."""

DONE = 0
FAILED = 1
MISCONFIGURED = 2
DRIFT = 3
"""`verify`: the view differs from its source."""
LOG_GAP = 4
INTERRUPTED = 130
"""Ctrl-C: 128 and the number of SIGINT."""
