"""Roads (道路): from a map to travel times, and what a lost road does to them.

    osm.read(path) -> Network              OpenStreetMap (.osm.pbf, .osm, .osm.gz, .osm.bz2) as junctions and segments
    times(network, vehicle, …) -> Times    speeds by class, weather, limits; closures, slow-downs, water
    Router(network).metric(times)          matrix, nearest, reach, area, route, critical
    Straight(speed, detour).matrix         without a map

Turns cost nothing and turn restrictions are not read. No Django, no network, no clock; the same question has the same answer.
"""
from .kernels import NEVER
from .network import CLASSES, Network, load
from .osm import BadMap
from .router import Metric, Route, Router, Snapped, Straight
from .vehicle import Edit, Times, Vehicle, left_only, times

__all__ = ["CLASSES", "NEVER", "BadMap", "Edit", "Metric", "Network", "Route", "Router", "Snapped", "Straight", "Times", "Vehicle", "left_only", "load", "times"]
