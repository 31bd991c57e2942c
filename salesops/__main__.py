"""``python -m salesops``: the same as the ``salesops`` command."""

import sys

from salesops.cli import main

if __name__ == "__main__":
    sys.exit(main())
