"""`python -m projector`."""

import sys

from projector.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
