"""Which sample quantiles bound a true quantile: for p50, p95 and p99 read from a sketch.

Reading the sketch at these levels is the caller's.
"""

from __future__ import annotations

import math


def quantile_levels(n: float, level: float, alpha: float = 0.05) -> tuple[float, float]:
    """Return the levels whose sample quantiles enclose the true quantile, at every look at once.

    n: independent traces (clusters, where traces come in sessions). A level of 0 or 1 says that
    the sample gives no bound on that side: read it as unbounded, not as the extreme value.
    Source: Howard and Ramdas, Bernoulli 2022, arXiv 1906.09712, theorem 1; each side alpha / 2.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    if n < 1:
        return 0.0, 1.0
    rate = (1.4 * math.log(max(1.0, math.log(2.1 * n))) + math.log(10 / alpha)) / n
    reach = 1.5 * math.sqrt(level * (1 - level) * rate) + 0.8 * rate
    return max(0.0, level - reach), min(1.0, level + reach)
