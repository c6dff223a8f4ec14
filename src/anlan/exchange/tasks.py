"""The clock of polling: once a minute the job worker looks for links whose time has come."""
from __future__ import annotations

from procrastinate.contrib.django import app


@app.periodic(cron="* * * * *")
@app.task(name="exchange.publish_due", queueing_lock="exchange.publish_due", lock="exchange.publish_due", pass_context=False)
def publish_due(timestamp: int) -> None:
    """Each minute: the public page says as of when it is true, and a job that was lost is made good."""
    from django.db import close_old_connections

    from . import publishing

    close_old_connections()
    if publishing.wanted():
        publishing.publish()


@app.periodic(cron="* * * * *")
@app.task(name="exchange.poll_due", queueing_lock="exchange.poll_due", lock="exchange.poll_due", pass_context=False)
def poll_due(timestamp: int) -> None:
    """Poll what is due; a feed's failure is a row, never a failed job."""
    from django.db import close_old_connections

    from . import polling

    close_old_connections()
    polling.poll_due()
