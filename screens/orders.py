"""What the console asks of a run. These run on the reader's thread: they wait for locks and start processes."""

from engine.runs import launch
from engine.store import runs
from screens.reader import Reader, Said


def order(reader: Reader, run_id: int, name: runs.Order) -> Said:
    """Leave an order for the run's worker."""
    runs.order(reader.database, run_id, name)
    return Said(f"asked run {run_id} to {name}")


def resume(reader: Reader, run_id: int) -> Said:
    """Start a worker that takes the run up from its last checkpoint."""
    runs.refuse_aside(reader.database, run_id)
    launch.start_worker(reader.database, run_id)
    return Said(f"started a worker for run {run_id}")
