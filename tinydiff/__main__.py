"""``python -m tinydiff``: the command line."""

import sys

from tinydiff.apps.cli import main

sys.exit(main())
