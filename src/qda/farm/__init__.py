"""Many DSPs on many machines: a pool whose sessions are those of a Dask cluster's workers.

from dask.distributed import Client
from qda.farm import Farm

with Farm(Client("tcp://scheduler:8786"), Filters) as farm:
    for drawn in farm.map(draw, names, progress=True):
        ...
"""

from importlib.util import find_spec

if find_spec("distributed") is None:
    raise ModuleNotFoundError(
        "a farm is made with Dask: pip install 'qda-accel[farm]'", name="distributed"
    )

from qda.farm.farm import Farm, Submitted

__all__ = ["Farm", "Submitted"]
