"""Write src/anlan/runtime/baseline.sql.xz anew: all migrations, applied one by one on a server of its own. Before a release, or when a fresh start has become slow."""
from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))


def main() -> None:
    from anlan.runtime import testing

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "anlan.runtime.settings")
    import django

    django.setup()
    from anlan.runtime import baseline, testing_database

    try:
        testing_database.migrated("baseline", afresh=True)
        baseline.FILE.write_bytes(baseline.pack(testing_database.dump(testing_database.connection_url("baseline"))))
    finally:
        testing.pytest_unconfigure(None)
    print(f"{baseline.FILE.name}: {baseline.FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
