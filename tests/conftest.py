"""How hard the tests try.

An ordinary run draws the same examples every time, so that a change is judged by what it changed. `make nightly` draws
new ones, and many more, and goes round the loops of crash tests more often.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ordinary",
    deadline=None,  # the machine may be busy; a slow example is no failure
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("nightly", parent=settings.get_profile("ordinary"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ordinary"))


@pytest.fixture(scope="session")
def rounds() -> int:
    """How often a looped test, such as kill -9 under load, goes round."""
    return int(os.environ.get("WARDWRIGHT_TEST_ROUNDS", "3"))
