"""An event loop in a thread of its own, for requests beside a thread that decides and listens to orders."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.teacher import client


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The loop; on the way out what still runs in it is cancelled."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="qcrd-teacher", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_wind_up(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _wind_up() -> None:
    tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.close()
