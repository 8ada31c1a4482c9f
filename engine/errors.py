"""Errors that are meant for a person: one line that says what was wrong, where, and what to do."""


class QcrdError(Exception):
    """Something went wrong that the user can understand and act on; the command ends with exit code 1."""

    exit_code = 1


class UsageError(QcrdError):
    """What was asked for cannot be done as asked (a bad spec, a missing file, an unknown run); exit code 2."""

    exit_code = 2


class NoDatabase(UsageError):
    """There is no database yet, or an empty file: whatever writes first makes it."""


class SpecError(UsageError):
    """The run's own spec is at fault: it is stored with the run, so to resume meets the same error again."""


ANOTHER_RUN = "the run keeps its spec: mend the file and start another with `qcrd run`"
"""What the stored error of a run that failed by a SpecError ends in; who reads it offers no `qcrd resume`."""


class Interrupted(QcrdError):
    """The run was asked to stop, saved a checkpoint and can be resumed; exit code 130."""

    exit_code = 130


class AtLimit(QcrdError):
    """The run is at a limit of its spec (a budget, what is in doubt) and goes on once that is moved; exit code 130."""

    exit_code = 130

    def __init__(self, limit: str, way_on: str) -> None:
        """`limit`: which, and how far; `way_on`: what to do."""
        super().__init__(f"{limit}; {way_on}")
        self.limit = limit
