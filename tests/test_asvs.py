"""What docs/asvs.md claims: every requirement of level 2 has one line, every claim a test that exists; and the tests no room has."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from anlan.runtime import settings as shipped

ROOT = Path(__file__).resolve().parent.parent
# Requirements of levels 1 and 2 in ASVS 5.0.0, by section: 253 in all.
SECTIONS = {
    1: (2, 9, 11, 3, 2), 2: (3, 3, 4, 1), 3: (0, 2, 4, 6, 5, 0, 2), 4: (3, 1, 2, 4), 5: (1, 3, 2, 3), 6: (3, 12, 4, 4, 5, 3, 0, 4), 7: (3, 4, 2, 5, 2, 2),
    8: (2, 3, 1, 1), 9: (3, 4), 10: (2, 2, 4, 11, 5, 2, 3), 11: (2, 3, 3, 4, 1, 1), 12: (3, 2, 4), 13: (1, 5, 2, 5), 14: (2, 4, 3), 15: (3, 3, 7),
    16: (1, 5, 4, 3, 3), 17: (1, 4, 2),
}
EVERY = {f"{chapter}.{section}.{number}" for chapter, counts in SECTIONS.items() for section, count in enumerate(counts, 1) for number in range(1, count + 1)}


def lines() -> list[tuple[list[str], str, str]]:
    """(requirements, what, tests) of each line of a table in the page."""
    found = []
    for line in (ROOT / "docs" / "asvs.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not re.match(r"\d+\.\d+\.\d+", cells[0]):
            continue
        numbers = []
        for part in cells[0].split(","):
            first, _dash, last = part.strip().partition("–")
            stem, _dot, start = first.rpartition(".")
            numbers += [f"{stem}.{number}" for number in range(int(start), int(last or start) + 1)]
        found.append((numbers, cells[1], cells[2] if len(cells) > 2 else ""))
    return found


def test_every_requirement_of_level_2_has_exactly_one_line():
    assert len(EVERY) == 253
    named = [number for numbers, _what, _tests in lines() for number in numbers]
    assert sorted(named) == sorted(set(named)), "named twice"
    assert set(named) == EVERY, set(named) ^ EVERY


def test_every_claim_names_a_test_that_exists():
    known = set()
    for folder in ("src", "tests"):
        for path in (ROOT / folder).rglob("test_*.py"):
            known |= set(re.findall(r"^\s*(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE))
    claims = 0
    for numbers, _what, tests in lines():
        if tests:
            cited = re.findall(r"`(test_\w+)`", tests)
            assert cited and set(cited) <= known, (numbers, set(cited) - known)
            claims += len(numbers)
    assert f"**{claims} of 253" in (ROOT / "docs" / "asvs.md").read_text(), f"the page's own count: {claims}"


# --- tests that belong to no room ------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_every_answer_says_what_may_be_loaded_and_kept(client, alice, signed_in):
    outside, inside = client.get("/sign-in"), signed_in(Client(), alice).get("/account")
    for answer in (outside, inside, client.get("/nothing-here"), client.get("/api/v1/nothing-here")):
        policy = answer["Content-Security-Policy"]
        assert all(word in policy for word in ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"))
        assert "unsafe" not in policy and answer["X-Content-Type-Options"] == "nosniff" and answer["Referrer-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in answer and ("charset=utf-8" in answer["Content-Type"] or "json" in answer["Content-Type"])
    assert "no-store" in inside["Cache-Control"]


@pytest.mark.django_db
def test_a_form_without_its_token_is_refused(alice):
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/sign-in", {"name": "alice", "password": "correct horse battery"}).status_code == 403
    assert "account" not in strict.session


@pytest.mark.django_db
def test_the_session_cookie_is_new_random_and_out_of_scripts_reach(client, alice):
    seen = []
    for _again in range(2):
        client.post("/sign-in", {"name": "alice", "password": "correct horse battery"})
        cookie = client.cookies["sessionid"]
        assert cookie["httponly"] and cookie["samesite"] == "Lax" and len(cookie.value) >= 32
        seen.append(cookie.value)
    assert seen[0] != seen[1], "signing in again gives a new one"


def test_with_tls_cookies_and_browsers_stay_on_tls(tmp_path):
    code = (
        "import json; from anlan.runtime import settings as s; "
        "print(json.dumps([s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SESSION_COOKIE_NAME, s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS]))"
    )
    env = {**os.environ, "ANLAN_HOME": str(tmp_path), "ANLAN_TLS_CERT": "cert.pem", "ANLAN_TLS_KEY": "key.pem"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    secure, csrf, name, seconds, below = json.loads(done.stdout)
    assert secure and csrf and name.startswith("__Host-") and seconds >= 365 * 24 * 3600 and below


def test_passwords_are_kept_by_a_slow_hash():
    from django.contrib.auth.hashers import ScryptPasswordHasher

    assert shipped.PASSWORD_HASHERS[0].endswith(".ScryptPasswordHasher")
    assert ScryptPasswordHasher.work_factor >= 2**14 and ScryptPasswordHasher.block_size >= 8


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("new", "taken"),
    [("short", False), ("password123", False), ("1234567890", False), ("willow willow bank", True), ("柳岸七号夜里的雨声真大", True), ("x y" * 40, True), ("onlylowercaseletters", True)],
)
def test_a_password_needs_length_and_rarity_and_nothing_else(client, alice, signed_in, new, taken):
    from anlan.kernel.models import Account

    signed_in(client, alice)
    client.post("/account/password", {"old": "wrong", "new": new, "again": new})
    assert Account.objects.get(pk=alice.account_id).check_password("correct horse battery"), "the present one is asked for"
    client.post("/account/password", {"old": "correct horse battery", "new": new, "again": new})
    account = Account.objects.get(pk=alice.account_id)
    assert account.check_password(new) is taken
    assert not taken or not account.check_password(new.upper()) or new.upper() == new, "as it was typed"
