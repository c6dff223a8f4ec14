"""Coordinate frames met in China, and the way into ours (WGS 84 / CGCS2000 longitude and latitude)."""
from .gcj02 import FRAMES, bd09_to_wgs84, gcj02_to_wgs84, outside_mainland, to_wgs84, wgs84_to_gcj02

__all__ = ["FRAMES", "bd09_to_wgs84", "gcj02_to_wgs84", "outside_mainland", "to_wgs84", "wgs84_to_gcj02"]
