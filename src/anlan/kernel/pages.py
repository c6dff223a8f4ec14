"""Pages of the kernel. One file per subject; each adds its addresses here. Mechanisms with a folder of their own add theirs."""
from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

app_name = "kernel"

SUBJECTS = ["account", "admin", "shift", "contacts", "search", "codes", "places", "files", "journal", "orders"]
PARTS = ["registers", "loops", "phone"]


def parts(module: str) -> Iterator[tuple[str, Any]]:
    """(folder, its module) for every folder of the kernel that has such a module: pages, api."""
    for part in PARTS:
        if importlib.util.find_spec(f"anlan.kernel.{part}") and importlib.util.find_spec(f"anlan.kernel.{part}.{module}"):
            yield part, importlib.import_module(f"anlan.kernel.{part}.{module}")


urlpatterns: list = []
for subject in SUBJECTS:
    # A subject whose file is not there yet is left out; its addresses fall back to their rooms' defaults.
    if importlib.util.find_spec(f"anlan.kernel.pages_{subject}"):
        urlpatterns += importlib.import_module(f"anlan.kernel.pages_{subject}").urlpatterns
for _part, found in parts("pages"):
    urlpatterns += found.urlpatterns
