"""The rig behind `make bench`: what a governed call costs, beside nginx as a plain proxy and beside peers.

Rule 1: nothing is counted that was not checked: every answer is compared with what the upstream meant to say, streams
must arrive as streams, and one wrong answer voids its window.
Rule 2: every figure is a median with its extremes over rounds in which the gateways took turns, and stands beside the
rig floor: the same load straight at the upstream.
Rule 3: ratios are taken within one run, never between runs.

Read `run` first (what is measured, in which order), then `rig` (how), `gateways` and `peers` (what is under test).
"""
