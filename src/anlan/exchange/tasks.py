"""The clock of polling: once a minute the job worker looks for links whose time has come."""
from __future__ import annotations

from procrastinate.contrib.django import app


@app.periodic(cron="* * * * *")
@app.task(name="exchange.poll_due", queueing_lock="exchange.poll_due", lock="exchange.poll_due", pass_context=False)
def poll_due(timestamp: int) -> None:
    """Poll what is due; a feed's failure is a row, never a failed job."""
    from django.db import close_old_connections

    from . import polling

    close_old_connections()
    polling.poll_due()
