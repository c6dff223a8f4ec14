"""Declared here: the room's registers. Lists, forms, import, export, phone and API follow from them."""
from . import means, people, supplies, teams

__all__ = ["means", "people", "supplies", "teams"]
