"""`python -m engine.runs.exporting DATABASE RUN FOLDER`: a student exported; its folder, or why not, as a line of JSON.

For the console, which loads nothing heavy itself.
"""

import json
import sys
from pathlib import Path

from engine.errors import QcrdError


def main() -> int:
    """Ends with the line."""
    from engine.runs.learned import export_student

    database, run_id, folder = sys.argv[1:]
    try:
        found = {"folder": str(export_student(Path(database), int(run_id), Path(folder)))}
    except QcrdError as error:
        found = {"error": str(error)}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
