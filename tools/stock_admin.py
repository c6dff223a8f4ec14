"""The other side of the registers' figures: a stock Django admin with django-import-export, on the very table of rescue teams.

    DATABASE_URL=… python tools/stock_admin.py teams.csv COUNTY

Prints one line of JSON: [{figure, value, unit, note}]. Not part of the product, which has no admin; called by
`anlan.kernel.registers.bench`. Needs `pip install django-import-export` (extra "dev").
"""
import csv
import json
import os
import statistics
import sys
import time
import types

import psutil

REPEATS = 15

settings = types.ModuleType("stock_settings")
exec("from anlan.runtime.settings import *", settings.__dict__)
settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.admin", "import_export"]  # type: ignore[attr-defined]
settings.TEMPLATES = [{  # type: ignore[attr-defined]
    "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
    "OPTIONS": {"context_processors": ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]},
}]
settings.ROOT_URLCONF = "stock_urls"  # type: ignore[attr-defined]
urls = types.ModuleType("stock_urls")
sys.modules |= {"stock_settings": settings, "stock_urls": urls}
os.environ["DJANGO_SETTINGS_MODULE"] = "stock_settings"

import django  # noqa: E402

django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.admin import AdminSite  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import RequestFactory  # noqa: E402
from django.urls import path  # noqa: E402
from import_export import fields, resources, widgets  # noqa: E402
from tablib import Dataset  # noqa: E402

from anlan.kernel.models import Region  # noqa: E402
from anlan.kernel.registers import get  # noqa: E402

Team = get("resources.team").model


class TeamAdmin(admin.ModelAdmin):
    """As a tutorial writes it."""

    list_display = ["code", "name", "kind", "region", "members"]
    list_filter = ["kind"]
    search_fields = ["code", "name"]
    list_select_related = ["region"]
    list_per_page = 50

    def lookup_allowed(self, *args: object, **kwargs: object) -> bool:
        return True

    ordering = ["name"]


class TeamResource(resources.ModelResource):
    region = fields.Field(column_name="所在区域", attribute="region", widget=widgets.ForeignKeyWidget(Region, "name"))

    class Meta:
        model = Team
        import_id_fields = ["code"]
        fields = ["code", "name", "kind", "region", "members", "leader", "leader_phone", "lon", "lat", "note"]
        use_bulk = False

    def get_queryset(self):  # type: ignore[no-untyped-def]
        return Team.plain.all()  # the house's own manager asks for whom; a stock table has none


class User:
    """Somebody who may do everything."""

    is_active = is_staff = is_superuser = is_authenticated = True
    pk = id = 1
    username = "stock"

    def has_perm(self, *args: object) -> bool:
        return True

    has_perms = has_module_perms = has_perm

    def get_username(self) -> str:
        return self.username

    def get_short_name(self) -> str:
        return self.username

    def has_usable_password(self) -> bool:
        return False


site = AdminSite()
site.register(Team, TeamAdmin)
urls.urlpatterns = [path("admin/", site.urls)]  # type: ignore[attr-defined]
view = site._registry[Team]
requests = RequestFactory()


with connection.cursor() as cursor:
    cursor.execute("SELECT pg_backend_pid()")
    (backend,) = cursor.fetchone()


def spent() -> float:
    """Processor seconds of this process and of its database session, where that runs here."""
    try:
        times = psutil.Process(backend).cpu_times()
    except psutil.Error:
        return time.process_time()
    return time.process_time() + times.user + times.system


def show(query: str) -> float:
    """Milliseconds of one list page, written out."""
    request = requests.get(f"/admin/resources/team/{query}")
    request.user = User()
    started = time.perf_counter()
    answer = view.changelist_view(request)
    if hasattr(answer, "render"):
        answer.render()
    assert answer.status_code == 200, (query, answer.status_code)
    return (time.perf_counter() - started) * 1000


def measure(figure: str, query: str, note: str = "") -> dict:
    show(query)
    times: list[float] = []
    before = spent()
    while len(times) < REPEATS and sum(times) < 20_000:
        times.append(show(query))
    return {"figure": f"stock Django admin: {figure}, at 1,000,000 rows, p50", "value": round(statistics.median(times), 1), "unit": "ms", "note": f"{note}{'; ' if note else ''}worst of {len(times)}: {max(times):.0f} ms; processor {(spent() - before) / len(times) * 1000:.0f} ms"}


def bring(name: str) -> dict:
    with open(name, newline="", encoding="utf-8") as file:
        head, *lines = list(csv.reader(file))
    names = {"队伍编号": "code", "队伍名称": "name", "类型": "kind", "人数": "members", "负责人": "leader", "负责人电话": "leader_phone", "经度": "lon", "纬度": "lat", "备注": "note"}
    data = Dataset(headers=[names.get(one, one) for one in head])
    for line in lines:
        data.append(line)
    started, before = time.perf_counter(), spent()
    with transaction.atomic():
        result = TeamResource().import_data(data, raise_errors=True, use_transactions=True)
    took = time.perf_counter() - started
    assert result.totals["new"] == len(lines), result.totals
    return {
        "figure": "stock django-import-export: import of 100,000 rows", "value": round(took * 100_000 / len(lines), 1), "unit": "s",
        "note": f"reckoned from {len(lines):,} rows in {took:.1f} s, from .csv; processor {(spent() - before) * 100_000 / len(lines):.0f} s; without search words, map cells, history of fields, region from the position",
    }


print(json.dumps([
    measure("list, first page", "", "written out as HTML; ours is the rows without the page"),
    measure("list, page 150", "?p=150"),
    measure("list sorted by members, downwards", "?o=-5"),
    measure("filter by kind (5 % of the rows)", "?kind=fire"),
    measure("filter by county (10 %)", f"?region__above__ancestor={sys.argv[2]}"),
    measure("search, a common word", "?q=消防"),
    measure("search that finds nothing", "?q=蓬莱仙岛"),
    bring(sys.argv[1]),
]))
