"""Starting programs so that they never outlive the one who started them, and never run as root without need."""
from __future__ import annotations

import ctypes
import errno
import os
import pwd
import shutil
import signal
import stat
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from . import errors
from .speak import gettext as _
from .speak import warn

ACCOUNT = "anlan"  # system account the database and the broker run as when Anlan is started by root
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def service_account() -> pwd.struct_passwd | None:
    """The account to run the database as: None means our own. Root makes the system account `anlan` on first use.

    PostgreSQL refuses to run as root; a container or a server often starts us as root.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        pass
    if useradd := shutil.which("useradd"):
        made = subprocess.run(
            [useradd, "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", ACCOUNT],
            capture_output=True,
        )
        if made.returncode == 0:
            warn(_("Made the system account {account}; the database and the broker run as it.").format(account=ACCOUNT))
    for name in (ACCOUNT, "nobody"):  # another start may have made it meanwhile; a bare container has no useradd
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise errors.PROGRAM_MISSING(program="useradd", package="passwd")


def spawn(
    argv: Sequence[str | Path],
    *,
    account: pwd.struct_passwd | None = None,
    death_signal: int = signal.SIGTERM,
    log: IO[bytes] | int | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child that gets `death_signal` when the calling *thread* ends, even by SIGKILL (Linux).

    It has its own session, so that Ctrl-C in a terminal reaches the supervisor only. Call it from a thread that lives as
    long as the child should: the kernel watches the thread, not the process.
    """
    parent = os.getpid()

    def prepare() -> None:
        os.umask(0o077)
        if account is not None:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
        if _LIBC is not None:  # after setuid: a change of user clears it
            _LIBC.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
            if os.getppid() != parent:  # the parent died between fork and prctl
                os._exit(1)

    return subprocess.Popen(
        [str(part) for part in argv],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT if log is not None else None,
        env=dict(env) if env is not None else None,
        cwd=cwd,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
        preexec_fn=prepare,
    )


def run(argv: Sequence[str | Path], *, account: pwd.struct_passwd | None = None, **kwargs) -> subprocess.CompletedProcess[bytes]:
    """Run a tool to its end as `account`; `runtime.tool_failed` with its last words when it fails."""

    def prepare() -> None:
        if account is not None:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)

    done = subprocess.run([str(part) for part in argv], capture_output=True, preexec_fn=prepare, stdin=subprocess.DEVNULL, **kwargs)
    if done.returncode:
        words = (done.stderr or done.stdout).decode(errors="replace").strip()[-800:]
        raise errors.TOOL_FAILED(tool=Path(str(argv[0])).name, why=words or f"exit {done.returncode}")
    return done


def stop(child: subprocess.Popen[bytes], first: int, seconds: float, last: int = signal.SIGKILL) -> int:
    """Ask with signal `first`, insist with `last` after `seconds`; returns the exit status."""
    if child.poll() is None:
        child.send_signal(first)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(last)
            try:
                child.wait(2)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    return child.returncode


# --- letting the service account in ------------------------------------------------------------------------------
# A folder such as /root or one of mktemp is closed to others (0700). The account only needs to pass through, so it gets
# one POSIX access control entry (u:anlan:--x) on each closed folder above, not a wider mode for everybody.
_ACL = "system.posix_acl_access"
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NO_ID = 0xFFFFFFFF


def let_pass(path: Path, account: pwd.struct_passwd | None) -> None:
    """Let `account` pass through every folder above `path`; `runtime.folder_unreachable` where that cannot be done."""
    if account is None:
        return
    for folder in reversed(path.resolve().parents):
        if not _may_pass(folder, account):
            try:
                _grant_pass(folder, account.pw_uid)
            except OSError as problem:
                if problem.errno not in (errno.ENOTSUP, errno.EOPNOTSUPP):
                    raise errors.FOLDER_UNREACHABLE(account=account.pw_name, folder=folder) from problem
                # No access control lists here: passing through (not listing) for everybody is the least that works.
                folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
            warn(_("The account {account} may now pass through {folder}.").format(account=account.pw_name, folder=folder))


def _may_pass(folder: Path, account: pwd.struct_passwd) -> bool:
    info = folder.stat()
    entries = _read_acl(folder)
    mask = next((bits for tag, bits, _who in entries if tag == _MASK), 7)  # a later chmod closes it again by the mask
    if any(tag == _USER and who == account.pw_uid and bits & mask & 1 for tag, bits, who in entries):
        return True
    if info.st_uid == account.pw_uid:
        return bool(info.st_mode & stat.S_IXUSR)
    if info.st_gid == account.pw_gid:
        return bool(info.st_mode & stat.S_IXGRP)
    return bool(info.st_mode & stat.S_IXOTH)


def _read_acl(folder: Path) -> list[tuple[int, int, int]]:
    try:
        raw = os.getxattr(folder, _ACL)
    except (OSError, AttributeError):
        return []
    return [struct.unpack_from("<HHI", raw, at) for at in range(4, len(raw), 8)]


def _grant_pass(folder: Path, uid: int) -> None:
    mode = folder.stat().st_mode
    entries = _read_acl(folder) or [
        (_USER_OBJ, mode >> 6 & 7, _NO_ID),
        (_GROUP_OBJ, mode >> 3 & 7, _NO_ID),
        (_OTHER, mode & 7, _NO_ID),
    ]
    entries = [entry for entry in entries if entry[0] != _MASK and not (entry[0] == _USER and entry[2] == uid)]
    entries.append((_USER, 1, uid))
    mask = 0
    for tag, bits, _who in entries:
        if tag in (_USER, _GROUP_OBJ, _GROUP):
            mask |= bits
    entries.append((_MASK, mask, _NO_ID))
    entries.sort(key=lambda entry: (entry[0], entry[2]))
    os.setxattr(folder, _ACL, struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries))
