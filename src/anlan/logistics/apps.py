"""The room's Django app."""
from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LogisticsConfig(AppConfig):
    name = "anlan.logistics"
    label = "logistics"
    verbose_name = _("Logistics")  # type: ignore[assignment]

    def ready(self) -> None:
        from anlan.kernel import access, shell, subjects
        from anlan.resources.actions import APPROVED

        from . import errors, facts  # noqa: F401

        access.declare("logistics.read", _("See blocked roads, reach and clearing times"))
        access.declare("logistics.report", _("Report blocked roads"))
        access.declare("logistics.clear", _("Order crews and open roads to traffic"), machine=False)
        access.declare("logistics.plan", _("Make plans of supply and transport orders"), machine=False)
        access.declare("logistics.approve", _("Approve plans of supply"), second_factor=True)
        access.declare("logistics.carry", _("Report loads as arrived"), machine=False)
        access.declare("logistics.shelter", _("Open shelters, lead people there and count who comes in"), machine=False)
        subjects.register("supply_search", "logistics.Search", "", _("Search for a plan"))
        # The plan a load belongs to was approved by a second person.
        APPROVED.add("transport")
        shell.words_for({
            "logistics.PlanAsked": _("Plan of supply: {what} entered ({count})"),
            "logistics.SearchAsked": _("Plan of supply: search begun {reason}"),
            "logistics.SearchStopped": _("Plan of supply: search ended by a person, best so far kept"),
            "logistics.SearchFailed": _("Plan of supply: no plan found, {why}"),
            "logistics.VersionMade": _("Plan of supply: version {number}, {lines} lines, {unmet} units not met"),
            "logistics.VersionAdopted": _("Plan of supply: version {number} adopted"),
            "logistics.PeopleListed": _("Plan of sheltering: {what} entered ({count} rows, {persons} persons)"),
            "logistics.ShelterVersionMade": _("Plan of sheltering: version {number}, {persons} persons, {unplaced} without a place"),
            "logistics.ShelterVersionAdopted": _("Plan of sheltering: version {number} adopted"),
            "logistics.PeopleCheckedIn": _("Plan of sheltering: {persons} persons counted, {inside} inside, room for {room}"),
            "logistics.DecisionDropped": _("Plan of supply: a decision was taken back"),
        })
