"""The room's nouns. Django looks here; each file reads top to bottom."""
from .calls import CallOut, Compensation, Requisition, RollCall, RollCallTry, Survey
from .gear import Equipment, EquipmentNorm, EquipmentTest, Vehicle
from .people import Certificate, Expert, ExpertDraw, Member, Opinion
from .places import Hospital, KeySite, Shelter, Site
from .supplies import (
    Entry,
    Holding,
    Item,
    Minimum,
    Movement,
    Norm,
    Release,
    Reservation,
    Stock,
    StockCount,
    SupplyAlert,
    Warehouse,
)
from .teams import Base, Shift, Team

__all__ = [
    "Base", "CallOut", "Certificate", "Compensation", "Entry", "Equipment", "EquipmentNorm", "EquipmentTest", "Expert", "ExpertDraw", "Holding", "Hospital", "Item", "KeySite", "Member", "Minimum", "Movement", "Norm", "Opinion", "Release", "Requisition", "Reservation", "RollCall", "RollCallTry", "Shelter", "Shift", "Site", "Stock", "StockCount", "SupplyAlert", "Survey", "Team", "Vehicle", "Warehouse",
]
