"""Addresses: rooms are found, not listed. Pages at /<room>/…, the kernel's and this room's at /…, the API at /api/v1/<room>/…"""
from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from django.conf import settings
from django.urls import include, path

from . import pages
from .interface import make_api

urlpatterns: list[Any] = [path("api/v1/", make_api().urls)]
if importlib.util.find_spec("anlan.web.health"):
    from . import health

    urlpatterns += [path("healthz", health.healthz), path("readyz", health.readyz)]
urlpatterns += [path("", include((pages.urlpatterns, "web")))]
for room in settings.ROOMS:
    name = f"anlan.{room}.pages"
    if room == "web" or f"anlan.{room}" not in settings.INSTALLED_APPS or not importlib.util.find_spec(name):
        continue
    module = importlib.import_module(name)
    urlpatterns.append(path("" if room == "kernel" else f"{room}/", include((module.urlpatterns, room))))

handler404 = "anlan.web.pages.not_found"
handler403 = "anlan.web.pages.forbidden"
handler500 = "anlan.web.pages.broken"
