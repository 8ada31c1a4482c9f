"""What every test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

# two test processes on two cores: torch's second thread would spin where the other process computes
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What runs keep for one another is the tests' own, also in the processes that they start."""
    os.environ["QCRD_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded teacher outputs; skips where it is not at hand, fails in CI."""
    folder = Path(os.environ.get("QCRD_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "svamp_train.jsonl").is_file():
        message = f"no recorded teacher outputs in {folder}; set QCRD_DATA to their folder"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
