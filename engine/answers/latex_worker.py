"""The process that runs math-verify: JSON lines [gold, answer] in, {"equal", "ran_out"} out. `limited.py` starts it.

The kernel ends it when a comparison uses more CPU time than its limit: SIGPROF without a handler works where Python
cannot act, inside one huge power. It also ends when its standard input does, one limit after its parent at the latest.
"""

import contextlib
import functools
import json
import logging
import os
import resource
import signal
import sys
from typing import Any

MEMORY = 4 << 30
"""Bytes of address space; a power too big for it ends in MemoryError."""


@functools.lru_cache(maxsize=4096)
def parsed(answer: str) -> Any:
    """What math-verify makes of one answer: a list of sympy expressions and strings."""
    from math_verify import parse

    return parse(f"\\boxed{{{answer}}}", parsing_timeout=0, fallback_mode="first_match")


def compare(gold: str, answer: str) -> bool:
    """math-verify's verdict."""
    from math_verify import verify

    return bool(verify(parsed(gold), parsed(answer), timeout_seconds=0))


def main() -> None:
    """Answer until standard input ends."""
    limit = float(sys.argv[1])
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing that a library prints may get between the replies
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses; the time limit still holds
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    compare("\\frac{1}{2}", "0.25+\\sqrt{x}")  # the first call builds the parser
    print("ready", file=output, flush=True)
    for line in sys.stdin:
        gold, answer = json.loads(line)
        ran_out = False
        signal.setitimer(signal.ITIMER_PROF, limit)
        try:
            equal = compare(gold, answer)
        except (MemoryError, RecursionError):
            equal, ran_out = False, True
        except Exception:  # noqa: BLE001 - sympy raises anything on what models write; unequal, like any nonsense
            equal = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps({"equal": equal, "ran_out": ran_out}), file=output, flush=True)


if __name__ == "__main__":
    main()
