"""A pipeline without torch for every Python process with this folder on its path; the run's name says what to do.

The commands, the database and the worker around it are the real ones.
"""

import os
import signal
import sys
import time
import types


def run_stages(spec, database, run_id, recorder, orders):
    from engine.errors import AtLimit, QcrdError
    from engine.records import Rationale

    recorder.declare_stages([("data", ""), ("train", "steps")])
    recorder.stage("data", state="done")
    recorder.stage("train", state="running", total=spec.training.steps)
    recorder.log("warning", "two questions are cut \x1b[2J", "data")
    print("words of a library", flush=True)
    if spec.name == "fail":
        raise QcrdError("the teacher has left")
    if spec.name == "budget":
        raise AtLimit("the budget is used up", "raise it")
    if spec.name == "bug":
        raise ZeroDivisionError("nought")
    for step in range(1, spec.training.steps + 1):
        orders.raise_if_stopped()
        recorder.points(step, {"loss/total": 1 / step, "accuracy/explain": step / spec.training.steps})
        recorder.progress(step, step)
        recorder.stage("train", done=step)
        if spec.name in ("killed", "full disk") and step == 3:
            recorder.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        if spec.name == "deaf":
            recorder.flush()
            time.sleep(3600)
        if spec.name in ("slow", "killed"):
            time.sleep(0.05)
    recorder.stage("train", state="done")
    recorder.rationales([Rationale(0, "a", "because", "1", "strict", "positive", "teacher")])
    recorder.score("test", "student", "explain", 9, 64, 100)
    recorder.score("test", "student", "predict", 9, 50, 100)
    recorder.score("test", "majority class", "", 9, 10, 100)
    recorder.score("train", "teacher vote", "", 0, 89, 100)
    recorder.fact("judge", "auc/minority", 0.75)


if "full disk" in sys.orig_argv:
    os.statvfs = lambda path: types.SimpleNamespace(f_bavail=0, f_frsize=4096)
sys.modules["engine.runs.pipeline"] = types.SimpleNamespace(run_stages=run_stages)
