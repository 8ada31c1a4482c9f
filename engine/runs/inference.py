"""The process that answers questions to students: one line of JSON in for each, several out, until its input ends.

`python -m engine.runs.inference DATABASE`. A question overtakes the one that is being answered; an empty line stops it.
It keeps the last student loaded. Who asks may be killed at any moment: its pipe closes, and this process ends.
"""

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import QcrdError
from engine.evaluation.reply import Asked, Doing, Failed, Over, Ready, Reply, line
from engine.runs import line_out

if TYPE_CHECKING:
    from engine.evaluation.one_question import Learned
    from engine.runs.learned import Place


class Inbox:
    """What is asked, read on a thread of its own; `gone` is called where there will be no more."""

    def __init__(self, lines: Iterable[str], gone: Callable[[], object]) -> None:
        self._asked: queue.SimpleQueue[Asked] = queue.SimpleQueue()
        self._last: int | None = None
        """The question that is to be answered; None: none."""
        self._lines, self._gone = lines, gone
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def take(self) -> Asked:
        """The next question that nothing has overtaken; waits for it."""
        while True:
            asked = self._asked.get()
            if not self.stopped(asked.id):
                return asked

    def stopped(self, number: int) -> bool:
        """Whether nobody waits any more for what question `number` is answered."""
        return number != self._last

    def _read(self) -> None:
        for text in self._lines:
            if not text.strip():
                self._last = None
                continue
            found = json.loads(text)
            found.pop("kind", None)
            asked = Asked(**found)
            self._last = asked.id
            self._asked.put(asked)
        self._gone()


class Inference:
    """Answers questions with the last student that was asked kept in memory."""

    def __init__(self, database: Path, say: Callable[[Reply], None]) -> None:
        self._database = database
        self._say = say
        self._learned: tuple[Place, Learned] | None = None

    def answer(self, asked: Asked, stopped: Callable[[], bool]) -> None:
        """Says all there is to say to it. Whatever goes wrong is a reply of one line."""
        try:
            self.tell(asked, stopped)
        except QcrdError as error:
            self._say(Failed(asked.id, str(error)))
        except Exception as error:  # noqa: BLE001  the boundary: who asks is told, and may ask again
            words = str(error).strip().splitlines()
            self._say(Failed(asked.id, f"{type(error).__name__}: {words[0] if words else 'no message'}"))
        self._say(Over(asked.id))

    def tell(self, asked: Asked, stopped: Callable[[], bool] = lambda: False) -> None:
        """Says which student answers and what. Raises QcrdError where it cannot be asked."""
        if "torch" not in sys.modules:
            self._say(Doing(asked.id, "loading torch and transformers"))
        from engine.evaluation.one_question import doubts, drawn, greedy
        from engine.records import Example
        from engine.runs import learned as learning

        found = learning.place(self._database, asked.run_id)
        if self._learned is None or self._learned[0] != found:
            self._learned = None  # two at once may not fit
            loaded = learning.load(found, lambda text: self._say(Doing(asked.id, text)))
            self._learned = (found, loaded)
        learned = self._learned[1]
        example = Example("", asked.text)
        if asked.example is not None:
            example = learning.example_of(self._database, learned.spec, asked.run_id, asked.example)
        note = doubts(learned, example)
        self._say(Ready(asked.id, learned.step, learned.heads, learned.judge is not None, note))
        for reply in (drawn if asked.samples else greedy)(learned, asked, example, stopped):
            self._say(reply)


def main(arguments: list[str]) -> int:
    """Answer what comes in on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks
    out = line_out.prepare()
    inbox = Inbox(sys.stdin, lambda: os._exit(0))
    inference = Inference(Path(arguments[0]), lambda reply: line_out.write(out, line(reply)))
    while True:
        asked = inbox.take()
        inference.answer(asked, lambda number=asked.id: inbox.stopped(number))  # type: ignore[misc]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
