"""Pages of the kernel. One file per subject; each adds its addresses here."""
from __future__ import annotations

import importlib
import importlib.util

app_name = "kernel"

SUBJECTS = ["account", "admin", "shift", "contacts", "search", "codes", "places", "files", "journal", "orders"]

urlpatterns: list = []
for subject in SUBJECTS:
    # A subject whose file is not there yet is left out; its addresses fall back to their rooms' defaults.
    if importlib.util.find_spec(f"anlan.kernel.pages_{subject}"):
        urlpatterns += importlib.import_module(f"anlan.kernel.pages_{subject}").urlpatterns
