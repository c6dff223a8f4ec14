"""The one procrastinate task, and the worker loop that runs it."""
from __future__ import annotations

import asyncio
import logging
import threading
from uuid import UUID

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

log = logging.getLogger("anlan.jobs")


@app.task(name="anlan.react", retry=RetryStrategy(max_attempts=50, wait=1, exponential_wait=2), pass_context=False)
def react(reaction: str, fact: str) -> None:
    """Run one job reaction for one fact."""
    from django.db import close_old_connections

    from .flowing import run_job

    close_old_connections()
    run_job(reaction, UUID(fact))


def run_jobs(stop: threading.Event) -> None:
    """Run procrastinate's worker until `stop`; restart it when the database went away; retry what a dead worker left."""

    async def once() -> None:
        worker_app = app.with_connector(app.connector.get_worker_connector())
        async with worker_app.open_async():
            worker = asyncio.create_task(
                worker_app.run_worker_async(
                    install_signal_handlers=False, concurrency=4, fetch_job_polling_interval=1.0, delete_jobs="successful",
                    update_heartbeat_interval=2.0, stalled_worker_timeout=8.0, shutdown_graceful_timeout=3.0,
                )
            )
            ticks = 0
            try:
                while not stop.is_set() and not worker.done():
                    await asyncio.sleep(0.2)
                    ticks += 1
                    if ticks % 10 == 0:
                        for job in await worker_app.job_manager.get_stalled_jobs(seconds_since_heartbeat=8.0):
                            await worker_app.job_manager.retry_job(job)
            finally:
                worker.cancel()
                try:
                    await worker
                except (asyncio.CancelledError, Exception):
                    pass

    while not stop.is_set():
        try:
            asyncio.run(once())
        except Exception as error:
            log.warning("job worker: %s; again in 0.5 s", error)
        stop.wait(0.5)
