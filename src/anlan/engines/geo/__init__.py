"""Made-up geography: a mesh, a terrain, water running down it, areas that grow along valleys, gauges and a storm.

Arrays in, arrays out; no Django, no network, no clock. Everything follows from a seed.
"""
from .city import Area, City, Gauge, River, build
from .storm import Storm, StormRun, run_storm

__all__ = ["Area", "City", "Gauge", "River", "Storm", "StormRun", "build", "run_storm"]
