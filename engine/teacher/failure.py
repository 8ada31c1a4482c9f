"""When a teacher's faults end the run, and what is said then."""

from engine.errors import QcrdError, UsageError
from engine.spec.teachers import TeacherConfig
from engine.teacher import client
from engine.teacher.keys import place_of
from engine.teacher.outcome import Fault
from engine.teacher.pace import DOWN

TROUBLE = (*DOWN, "rate-limit")
"""Faults that are the provider's, not the question's."""
SHORTEST_STREAK = 8
"""So many questions in a row without an answer, or as many as are asked at once, mean that there will be none."""


def name_of(teacher: TeacherConfig) -> str:
    """The teacher and its server, as errors name them."""
    return f"the teacher {teacher.model}" + (f" at {teacher.api_base}" if teacher.api_base else "")


def why_it_ends(
    teacher: TeacherConfig, fault: Fault, reached: bool, streak: int, failed: int, total: int
) -> QcrdError | None:
    """Why the run cannot go on after this fault; None where it can.

    `reached`: whether the teacher has ever answered; `streak`: questions in a row that brought nothing; `failed` of
    `total` questions were given up.
    """
    where = name_of(teacher)
    if fault.kind == "key":
        place = place_of(client.key_variable(teacher), teacher.api_key_keyring)
        return UsageError(
            f"{where} refused the key (HTTP {fault.status}: {fault.message}); set {place} to a valid key, then resume"
        )
    if not reached and fault.kind == "request" and not fault.sent:
        return UsageError(f"the request to {where} cannot be made: {fault.message}")
    if not reached and fault.kind == "request":
        return UsageError(f"{where} refused the request (HTTP {fault.status}: {fault.message}); check the model's name")
    if not reached and fault.kind == "unreachable":
        return QcrdError(
            f"cannot reach {where} ({fault.message}); check "
            + ("that the server runs and teacher.api_base is right" if teacher.api_base else "the network")
        )
    # of a provider that is down the pace takes care
    if fault.retryable and fault.kind not in TROUBLE and streak >= max(teacher.concurrency, SHORTEST_STREAK):
        return QcrdError(
            f"{where} gives no answers: nothing for {streak} questions in a row, the last {fault}. "
            "Nothing paid for is lost: resume when it works again"
        )
    if failed * 2 > total or (not reached and failed >= teacher.concurrency):
        return QcrdError(
            f"{where} failed on {failed} of {total} questions; the last {fault}. "
            "Nothing paid for is lost: resume when it works again"
        )
    return None
