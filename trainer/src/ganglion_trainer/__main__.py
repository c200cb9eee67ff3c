"""`python -m ganglion_trainer`."""

import sys

from ganglion_trainer.cli import main

sys.exit(main())
