"""``python -m mlenv``."""

from __future__ import annotations

import sys

from mlenv.cli import main

if __name__ == "__main__":
    sys.exit(main())
