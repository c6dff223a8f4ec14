"""Once a minute: fetch what channels' other sides have to say, and look who is silent."""
from __future__ import annotations

from procrastinate.contrib.django import app


@app.periodic(cron="* * * * *")
@app.task(name="warning.listen", queueing_lock="warning.listen", lock="warning.listen", pass_context=False)
def listen(timestamp: int) -> None:
    """A channel that cannot be heard is a line in its own row, never a failed job."""
    from django.db import close_old_connections

    from . import health

    close_old_connections()
    health.listen()
    health.watch()
