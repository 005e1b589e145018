"""The exit codes of all commands. docs/commands.md says what to do at each."""

DONE = 0
FAILED = 1
MISCONFIGURED = 2
DRIFT = 3
LOG_GAP = 4
DEAD_LETTERS = 5
NOTHING_FOUND = 6
LIMIT_EXCEEDED = 7

MEANINGS = {
    DONE: "done",
    FAILED: "failed: a server is unavailable, or the message names the reason",
    MISCONFIGURED: "misconfigured: trying again does not help",
    DRIFT: "the view differs from its source; for rebuild: still after the repair",
    LOG_GAP: "the log has a gap; the message names the remedy",
    DEAD_LETTERS: "done, but some records ended as dead letters, or failed again",
    NOTHING_FOUND: "nothing was found or compared that the command could work on",
    LIMIT_EXCEEDED: "status: a limit that was given is exceeded",
    130: "interrupted by Ctrl-C",
    143: "ended by SIGTERM",
}
"""Exit code → what it means, for --help and for reference pages. The last two are 128 and the signal's number."""
