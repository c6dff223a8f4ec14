"""The room's Django app."""
from __future__ import annotations

from django.apps import AppConfig


class LogisticsConfig(AppConfig):
    name = "anlan.logistics"
    label = "logistics"
    verbose_name = "Logistics"
