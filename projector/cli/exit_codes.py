"""The exit codes of all commands, besides those of signals: 128 and the signal's number.

docs/commands.md says what to do at each.
"""

DONE = 0
FAILED = 1
MISCONFIGURED = 2
DRIFT = 3
"""`verify`, `explain`: the view differs from its source. `rebuild`: it still differs after the repair."""
LOG_GAP = 4
DEAD_LETTERS = 5
"""Done, but some records ended as dead letters, or failed again."""
NOTHING_FOUND = 6
"""Nothing was found that the command could work on."""
