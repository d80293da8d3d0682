"""`python -m tellvision` is the command `tellvision`."""

import sys

from tellvision.cli import main

if __name__ == "__main__":
    sys.exit(main())
