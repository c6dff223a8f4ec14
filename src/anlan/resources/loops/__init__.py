"""Declared here: the room's closed loops."""
from . import calls, supplies

__all__ = ["calls", "supplies"]
