"""Several sessions with DSPs, which work on the same job: a thread for each, results in order."""

from qda.pool.order import in_order, naming_item
from qda.pool.pool import Pool

__all__ = ["Pool", "in_order", "naming_item"]
