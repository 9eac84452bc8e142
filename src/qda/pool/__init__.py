"""Several sessions with DSPs, which work on the same job: a thread for each, results in order."""

from qda.pool.member import Member
from qda.pool.order import count_of, in_order, naming_item
from qda.pool.pool import Loaded, Pool
from qda.pool.progress import length_of, shown

__all__ = [
    "Loaded",
    "Member",
    "Pool",
    "count_of",
    "in_order",
    "length_of",
    "naming_item",
    "shown",
]
