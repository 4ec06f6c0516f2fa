"""What a test cannot do without: it is skipped where that is missing, and fails where it was promised."""

import os

import pytest


def lacking(kind, reason):
    """Skip the test, with the reason; fail it where LOYALTY_NO_SKIPS, as `.ci/run` sets it, names the kind.

    Args:
        kind: "browser", "spark" or "postgres".
        reason: What is missing, and how to get it.
    """
    if kind in os.environ.get("LOYALTY_NO_SKIPS", "").split(","):
        pytest.fail(reason)
    pytest.skip(reason)
