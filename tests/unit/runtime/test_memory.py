from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, resource
from wardwright.runtime import memory

memory.settle()
assert gc.get_threshold() == memory.GARBAGE_THRESHOLDS
assert gc.get_freeze_count() > 0

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for _ in range(20):
    bytes(1_000_000)
before = faults()
for _ in range(200):
    bytes(1_000_000)
print(faults() - before)
"""


def test_large_blocks_are_used_again_without_new_pages() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    # A block of 1 MB has 244 pages; handed back each time, 200 of them would fault 48,800 times.
    assert int(done.stdout) < 2_000
