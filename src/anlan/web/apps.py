"""The doors and windows: shell, map (一张图), desk, live updates. Composition only."""
from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "anlan.web"
    label = "web"

    def ready(self) -> None:
        from anlan.kernel import shell

        from . import rooms, words

        rooms.furnish(shell)
        words.furnish(shell)
