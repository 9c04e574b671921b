"""`python -m benchmarks` is `python -m benchmarks.run`."""

import signal
import sys

from benchmarks.run import main

# Who is told to end leaves no gateway behind: each stands still while others are measured, and would do so for ever.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
sys.exit(main())
