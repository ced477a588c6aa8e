"""`python -m pitr_tui` is `pitr`."""

import sys

from pitr_tui.cli import main

sys.exit(main())
