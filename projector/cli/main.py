"""The entry of the command line. It imports nothing at its top: a Ctrl-C may come in the first moment."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code. An error is one sentence on standard error."""
    try:
        from projector.process.interruption import end_at_once

        end_at_once()
    except KeyboardInterrupt:
        import sys

        sys.stderr.write("projector: interrupted\n")
        return 130
    from projector.cli.entry import run

    return run(arguments)
