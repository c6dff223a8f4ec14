"""The how-to pages are followed: their blocks become two throw-away rooms in a folder, which are migrated and used."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", re.M | re.S)
ROOMS = {"drainage": "how-to-add-a-register.md", "sewers": "how-to-add-a-loop.md"}

SETTINGS = """
import anlan
anlan.__path__.append({folder!r})
from anlan.runtime.settings import *
ROOMS = [*ROOMS, *{rooms!r}]
INSTALLED_APPS = [*INSTALLED_APPS, *(f"anlan.{{room}}" for room in {rooms!r})]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""

# What a department does with the two rooms, from the browser and from a program.
USE = '''
import base64, json, os, sys
from pathlib import Path
import django
django.setup()
from django.core.management import call_command
from django.test import Client
from django.test.utils import setup_test_environment

call_command("makemigrations", "drainage", "sewers", verbosity=0)
call_command("migrate", verbosity=0)
call_command("check")
setup_test_environment()

from anlan.kernel import realms
from anlan.kernel.actions import Act
from anlan.kernel.models import Account
from anlan.kernel.registers import get, importing, reading
from anlan.runtime import testing as cast

realm = realms.actual()
county = cast.make_region("甲县", "county", square=(119.0, 28.0, 0.4))
post = cast.make_post("值班员", county, superior=cast.make_post("组长", county, capabilities=cast._everything()), capabilities=cast._everything())
alice, bob = (cast.make_actor(name, post) for name in ("alice", "bob"))
charlie = cast.make_actor("charlie", cast.make_post("邻县", cast.make_region("乙县", "county"), capabilities=cast._everything()))
sign_in = cast.signed_in.__wrapped__() if hasattr(cast.signed_in, "__wrapped__") else cast.signed_in._get_wrapped_function()()


def browser(actor):
    client = Client()
    sign_in(client, actor)
    return client


def ask(client, path, body=None, status=200):
    answer = client.get(path) if body is None else client.post(path, json.dumps(body), content_type="application/json")
    assert answer.status_code == status, (path, answer.status_code, answer.content[:600].decode())
    return answer.json()


told = {}
web, api = browser(alice), browser(bob)
# --- the register: form, list, import, API -----------------------------------------------------------------------------------
name = "drainage.underpass"
page = web.get(f"/registers/{name}/new")
assert page.status_code == 200 and "keeper_phone" in page.content.decode()
form = {"code": "XC-01", "name": "青年路下穿通道", "road": "main", "depth_m": "3.5", "closes_at_cm": "27", "keeper": "王强", "keeper_phone": "12900000001", "region": str(county.pk)}
made = web.post(f"/registers/{name}/new", form)
assert made.status_code == 302, made.content.decode()[:3000]
bad = web.post(f"/registers/{name}/new", {**form, "code": "XC-09", "closes_at_cm": "900"})
told["form_refuses"] = bad.status_code != 302
sheet = Path(sys.argv[1]) / "underpasses.csv"
sheet.write_text("编号,名称,道路等级,所在区域,Closed at a water depth of\\nXC-01,青年路下穿通道,主干路,甲县,30\\nXC-02,建设路下穿通道,支路,甲县,25\\n", encoding="utf-8")
read = reading.read(sheet)
for again in (False, True):
    done = importing.run(Act(alice, realm), get(name), read, importing.propose(get(name), read))
    told["imported_again" if again else "imported"] = done.written
told["errors"] = [fault.why for fault in done.refused]
listed = web.get(f"/registers/{name}?road=side").content.decode()
told["list"] = ["XC-02" in listed, "XC-01" in listed]
told["api"] = sorted(row["values"]["code"] for row in ask(api, f"/api/v1/registers/{name}")["items"])
stranger = browser(charlie).get(f"/registers/{name}").content.decode()
told["stranger"] = "XC-01" in stranger or "12900000001" in stranger
# --- the loop: opened at the desk, stepped by a program, judged by the database ------------------------------------------------
loop = "sewers.blockage"
assert web.get(f"/loops/{loop}/new").status_code == 200
case = ask(api, f"/api/v1/loops/{loop}/cases", {"values": {"title": "雨水口堵塞", "road": "建设路", "depth_cm": 20, "region": str(county.pk)}}, 201)
key = case["id"]
steps = f"/api/v1/loops/{loop}/cases/{key}/steps"
told["skipped"] = ask(api, steps, {"step": "close"}, 409)["error"]["code"]
ask(api, steps, {"step": "start"})
photo = base64.b64encode(bytes.fromhex(sys.argv[2])).decode()
attach = [{"name": "疏通后.png", "content": photo}]
told["without_photo"] = ask(api, steps, {"step": "clear", "data": {"cause_found": "落叶", "depth_cm": 0}}, 422)["error"]["code"]
told["guard"] = ask(api, steps, {"step": "clear", "data": {"cause_found": "落叶", "depth_cm": 5}, "attach": attach}, 409)["error"]["code"]
ask(api, steps, {"step": "clear", "data": {"cause_found": "落叶", "depth_cm": 0}, "attach": attach})
told["same_person"] = ask(api, steps, {"step": "close"}, 409)["error"]["code"]
seen = web.get(f"/case/{key}")
assert seen.status_code == 200 and "落叶" in seen.content.decode()
ask(web, steps, {"step": "close"})
told["timeline"] = [line["step"] for line in ask(api, f"/api/v1/loops/{loop}/cases/{key}/timeline")["lines"] if line["kind"] == "step"]
assert "雨水口堵塞" in web.get(f"/loops/{loop}/list").content.decode()
print("TOLD " + json.dumps(told))
'''


def blocks(page: str) -> dict[str, str]:
    """File → text of every code block of a page that names its file."""
    return dict(BLOCK.findall((ROOT / "docs" / page).read_text()))


def write_rooms(folder: Path) -> None:
    for room, page in ROOMS.items():
        for name, text in blocks(page).items():
            assert name.startswith(f"{room}/"), name
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (folder / room / "migrations").mkdir()
        for package in (folder / room, folder / room / "migrations"):
            (package / "__init__.py").touch()


@pytest.mark.parametrize(("page", "files", "most"), [("how-to-add-a-register.md", 4, 75), ("how-to-add-a-loop.md", 3, 65)])
def test_each_is_about_a_page_of_code(page, files, most):
    found = blocks(page)
    assert len(found) == files
    assert sum(len(text.strip().splitlines()) for text in found.values()) <= most


def test_what_the_pages_say_works(tmp_path, django_db_setup, django_db_blocker):
    from anlan.inspection.tests.builders import png
    from anlan.runtime import testing_database

    write_rooms(tmp_path)
    (tmp_path / "howto_settings.py").write_text(SETTINGS.format(folder=str(tmp_path), rooms=list(ROOMS)))
    (tmp_path / "use.py").write_text(USE)
    name = f"howto_{os.getpid()}"
    testing_database._admin("CREATE DATABASE {} TEMPLATE {}", name, testing_database.TEMPLATE)
    try:
        parts = urlsplit(os.environ["DATABASE_URL"])
        run = subprocess.run(
            [sys.executable, str(tmp_path / "use.py"), str(tmp_path), png().hex()], capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "howto_settings", "PYTHONPATH": str(tmp_path), "DATABASE_URL": urlunsplit(parts._replace(path=f"/{name}"))},
        )
    finally:
        testing_database._admin("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    told = json.loads(run.stdout.split("TOLD ")[-1])
    assert told == {
        "form_refuses": True, "imported": 2, "imported_again": 0, "errors": [], "list": [True, False], "api": ["XC-01", "XC-02"], "stranger": False,
        "skipped": "kernel.case_illegal_step", "without_photo": "kernel.case_evidence", "guard": "kernel.case_not_allowed", "same_person": "kernel.case_same_person",
        "timeline": ["report", "start", "clear", "close"],
    }


def test_the_map_leads_to_them():
    for page in ROOMS.values():
        assert page in (ROOT / "docs" / "map.md").read_text()
