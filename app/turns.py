"""Keys take turns: what is typed ahead goes where the key before it has led.

Textual hands a key to the widget in focus at once, and acts on what comes back up from there later. Keys that arrive
together, as over a slow line, so reach a list behind the field that the first of them has opened. Here a key waits
until a message sent behind the one before it has come up twice: once behind the key, once behind what that set off.
"""

from collections import deque
from functools import partial
from typing import Any, TypeGuard

from textual.app import App
from textual.events import Event, Key, Paste
from textual.message import Message

PATIENCE = 2.0
"""Seconds after which the next key goes on all the same: a widget that was taken away hands nothing up."""


def takes_turn(event: Event) -> TypeGuard[Key | Paste]:
    """Whether it is one of those that wait: not Ctrl+Q, which leaves whatever comes before it."""
    if isinstance(event, Key):
        return not event.is_forwarded and event.key != "ctrl+q"
    return isinstance(event, Paste) and not event.is_forwarded


class Handled(Message):
    """Comes up behind a key, the same way."""

    def __init__(self, number: int, again: bool) -> None:
        super().__init__()
        self.number, self.again = number, again


class Turns:
    """Whose turn it is; `app` gets a Handled for `came`."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self.quit_keys: frozenset[str] = frozenset()
        """They leave the console from anywhere but a field."""
        self._waiting: deque[Key | Paste] = deque()
        self._called: Key | Paste | None = None
        """It waited, and is posted to the app again."""
        self._busy = False
        self._held = self._impatient = False
        self._number = 0
        self._over = True
        """Word of the last one that went came up twice."""

    def hold(self, event: Key | Paste) -> None:
        """None goes until `release`: what keys are for is not there yet. Patience is had once, and not to quit."""
        if not self._impatient and not (isinstance(event, Key) and event.key in self.quit_keys):
            self._busy = self._held = True

    def release(self) -> None:
        """It is there."""
        self._impatient = False
        if self._held:
            self._held = False
            if self._over:
                self._next()

    def may_go(self, event: Key | Paste) -> bool:
        """Whether it is its turn; else it comes again when it is."""
        if self._held and event is self._called:  # it was called, and what it is for is not there after all
            self._waiting.appendleft(event)
            self._called = None
            self._app.set_timer(PATIENCE, partial(self._give_up, self._number))
            return False
        if self._busy and event is not self._called:
            self._waiting.append(event)
            if len(self._waiting) == 1:
                self._app.set_timer(PATIENCE, partial(self._give_up, self._number))
            return False
        self._busy, self._called = True, None
        return True

    def follow(self) -> None:
        """It was handed on: send word behind it."""
        self._number += 1
        self._over = False
        self._send(again=False)

    def came(self, message: Handled) -> None:
        """Word came up."""
        if message.number != self._number:
            return
        if not message.again:
            self._send(again=True)
            return
        self._over = True
        if not self._held:
            self._next()

    def _send(self, again: bool) -> None:
        if not (self._app.focused or self._app.screen).post_message(Handled(self._number, again)):
            self._over = True
            if not self._held:
                self._next()

    def _next(self) -> None:
        self._busy = bool(self._waiting)
        if self._waiting:
            self._called = self._waiting.popleft()
            self._app.post_message(self._called)
            if self._waiting:
                self._app.set_timer(PATIENCE, partial(self._give_up, self._number + 1))

    def _give_up(self, number: int) -> None:
        if not self._busy or self._called is not None or number != self._number:
            return
        if self._app.screen.is_mounted:
            self._impatient, self._held, self._over = self._held, False, True
            self._next()
        else:  # a screen that is being made could not act on it
            self._app.set_timer(PATIENCE, partial(self._give_up, number))
