"""`python -m loyalty`: the command, where its entry point is not on the path."""

import sys

from loyalty.cli import main

sys.exit(main())
