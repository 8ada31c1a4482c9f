"""The form of a new run: every key of a spec with its help; what it will cost, the TOML it writes; start or queue."""

import sqlite3
import tempfile
from functools import partial
from pathlib import Path

from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from engine.errors import QcrdError
from engine.runs import launch
from engine.spec.fields import UNSET, SpecField, spec_fields
from engine.spec.load import read_spec
from engine.spec.run import RunSpec
from engine.spec.starting_points import STARTING_POINTS
from engine.spec.template import to_toml
from engine.store.runs.run import create_run
from screens.base import Open
from screens.confirm import ConfirmScreen
from screens.keys.table import bindings, hints, key_of
from screens.widgets.drafted import as_toml, changed_toml, dry_run, trial_text
from screens.widgets.footer import Footer
from screens.widgets.pick_list import PickList
from screens.widgets.words import line

KEY_WIDTH = 28
QUESTIONS = 3
"""That a prompt is tried on."""
COST = ("samples", "calls", "input", "output", "price", "total", "warning")
"""Lines of a dry run that say what is paid for."""
COSTLESS = ("builtin/", "replay:", "local/")
"""Teachers that nobody has to be paid for."""


class NewRunScreen(Screen[None]):
    """A spec being made. What is typed is checked at every key; Esc leaves, and what was typed stays."""

    CSS_PATH = "new_run.tcss"
    AUTO_FOCUS = "#fields"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (120, "-wide")]  # noqa: RUF012
    BINDINGS = bindings("new")

    def __init__(self, database: Path) -> None:
        super().__init__()
        self.database = database
        self._given: dict[str, str] = {}
        self._shown: dict[str, str] = {}
        """That and what is being typed."""
        self._spec = RunSpec()
        self._problem: str | None = None
        self._checked: tuple[str, list[tuple[str, str]], list[str]] | None = None
        """The TOML that was looked at, and what was found."""
        self._trial: Content | None = None
        self._under_way = ""
        self._start = 0
        self._words: tuple[str, ...] = ()
        """Only keys that hold all of them are listed."""
        self._finding = False
        """Whether the field is open for words to look for."""

    def compose(self) -> ComposeResult:
        """Keys on the left; what the one under the cursor means and what comes of all of them on the right."""
        yield Static("", id="wrong", markup=False)
        with Container(id="body"):
            fields = PickList[SpecField](lambda f: f.key, self._line, id="fields")
            fields.border_title = Content("New run")
            fields.border_subtitle = Content(hints("new", "fields"))
            yield fields
            with Vertical(id="side"):
                yield Static("", id="about", markup=False)
                with VerticalScroll(id="result", can_focus=False) as result:
                    result.border_subtitle = Content(hints("new", "result"))
                    yield Static("", markup=False)
        yield Input(id="value")
        yield Footer()

    def on_mount(self) -> None:
        """All at their defaults."""
        self._check()

    def action_leave(self) -> None:
        """Out of the field, to all keys again, or out of the form."""
        if self.query_one(Input).has_class("-shown") or self._words:
            self._words = ()
            self._close_field()
            self._check()
        else:
            self.app.pop_screen()

    def action_move(self, by: int) -> None:
        """Another key."""
        fields = self._fields
        fields.move(fields.cursor + by)
        self._about()

    def on_pick_list_moved(self) -> None:
        """A key was clicked."""
        self._about()

    def action_page(self, by: int) -> None:
        """A page down or up."""
        self.action_move(by * self._fields.page)

    def action_end(self, by: int) -> None:
        """The first key, or the last."""
        self.action_move(by * len(self._fields.rows))

    def action_section(self, by: int) -> None:
        """The next or previous section."""
        fields = self._fields
        heads = [at for at, f in enumerate(fields.rows) if not f.kind] or [0]
        past = [at for at in heads if (at > fields.cursor if by > 0 else at < fields.cursor)]
        fields.move((past[0] if by > 0 else past[-1]) if past else (0 if by < 0 else fields.cursor))
        self._about()

    def action_scroll(self, by: int) -> None:
        """What it would do and the file, up or down."""
        pane = self.query_one("#result", VerticalScroll)
        pane.scroll_relative(y=by * max(1, pane.size.height // 2), animate=False)

    def action_edit(self) -> None:
        """Type a value; one of a few is the next of them."""
        f = self._field()
        if not f.kind:
            return
        if f.choices:
            now = self._given.get(f.key, f.value)
            at = f.choices.index(now) if now in f.choices else -1
            self._set(f.key, f.choices[(at + 1) % len(f.choices)])
            return
        now = self._given.get(f.key, f.value)
        self._open_field(f.key, "" if now == UNSET else now.strip('"'))

    def action_find(self) -> None:
        """Type words: only keys that hold them are listed, until Esc."""
        self._finding = True
        told = f"find a key by its name or help; Enter: to the list; {key_of('new.leave')}: all keys"
        self._open_field(told, " ".join(self._words))

    def _open_field(self, title: str, value: str) -> None:
        field = self.query_one(Input)
        field.value = value
        field.border_title = Content(title)
        field.add_class("-shown")
        self.set_focus(field)  # at once: what is typed ahead is for it

    def on_input_changed(self, event: Input.Changed) -> None:
        """Looked for or checked as it is typed."""
        if self._finding:
            self._words = tuple(event.value.lower().split())
            self._list()
        elif event.input.has_class("-shown"):
            self._check({**self._given, self._field().key: event.value})

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep it, where it can be kept; or to the keys that were found."""
        if self._finding:
            self._close_field()
            return
        f = self._field()
        if event.value == "" and f.default == UNSET:
            self._close_field()
            self.action_default()
        elif self._problem is None:
            self._close_field()
            self._set(f.key, event.value)

    def action_default(self) -> None:
        """The key under the cursor at its default."""
        self._given.pop(self._field().key, None)
        self._check()

    def action_start_from(self) -> None:
        """The next starting point; what was typed is gone."""
        self._start = (self._start + 1) % len(STARTING_POINTS)
        name = list(STARTING_POINTS)[self._start]
        self._given = dict(STARTING_POINTS[name])
        self._checked = None
        self._check()
        self.notify(f"starting from: {name}", markup=False)

    def action_cost(self) -> None:
        """What it would do and cost: a dry run, in a process of its own."""
        if self._problem is not None:
            self.notify(self._problem, severity="error", markup=False)
            return
        self._wait_for("looking: nothing is asked or paid …")
        self.run_worker(self._look_at_cost, thread=True, exclusive=True, group="cost")

    def action_try(self) -> None:
        """Ask the teacher a few questions; what costs money asks first."""
        if self._problem is not None:
            self.notify(self._problem, severity="error", markup=False)
        elif self._spec.teacher.model.startswith(COSTLESS):
            self._try()
        else:
            self.app.push_screen(
                ConfirmScreen(
                    f"Ask the teacher {QUESTIONS} questions?", "They are paid for; a run of this form uses the answers."
                ),
                lambda yes: self._try() if yes else None,
            )

    def action_write(self) -> None:
        """The TOML in a file named after the run; an existing one is asked about."""
        if self._problem is not None:
            self.notify(self._problem, severity="error", markup=False)
            return
        file = Path(f"{self._spec.name.replace('/', '-')}.toml")
        if file.exists():
            self.app.push_screen(
                ConfirmScreen(f"Write over {line(str(file), 60)}?", "It exists already."),
                lambda yes: self._write(file) if yes else None,
            )
        else:
            self._write(file)

    def action_begin(self, queued: bool) -> None:
        """Start it now, or leave it queued; a teacher that costs money asks first, with what is known of the cost."""
        if self._problem is not None:
            self.notify(self._problem, severity="error", markup=False)
            return
        if self._spec.needs_teacher and not self._spec.teacher.model.startswith(COSTLESS) and not queued:
            known = self._checked is not None and self._checked[0] == to_toml(self._spec)
            told = (
                "\n".join(text for _, text in self._cost_lines())
                if known
                else f"Its cost was not looked at: {key_of('new.cost')} tells it."
            )
            self.app.push_screen(
                ConfirmScreen("Start, and pay the teacher?", told), lambda yes: self._begin(queued) if yes else None
            )
        else:
            self._begin(queued)

    def _begin(self, queued: bool) -> None:
        self.run_worker(partial(self._create, self._spec, queued), thread=True, group="begin")

    def _create(self, spec: RunSpec, queued: bool) -> None:
        try:
            run_id = create_run(self.database, spec)
            if not queued:
                launch.start_worker(self.database, run_id)
        except (QcrdError, OSError, sqlite3.Error) as error:
            self.app.call_from_thread(self.notify, line(str(error), 400), severity="error", markup=False)
            return
        self.app.call_from_thread(self._begun, run_id)

    def _begun(self, run_id: int) -> None:
        self.app.pop_screen()
        self.app.post_message(Open(run_id))

    def _write(self, file: Path) -> None:
        try:
            file.write_text(to_toml(self._spec), encoding="utf-8")
        except OSError as error:
            self.notify(f"{file} cannot be written: {error.strerror}", severity="error", markup=False)
            return
        self.notify(f"wrote {file}: `qcrd run {file}` runs it", markup=False)

    def _try(self) -> None:
        self._wait_for("asking the teacher …")
        self.run_worker(self._ask, thread=True, exclusive=True, group="try")

    def _ask(self) -> None:
        worker, toml = get_current_worker(), to_toml(self._spec)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "spec.toml"
            file.write_text(toml, encoding="utf-8")
            try:
                found = trial_text(launch.run_trial(self.database, file, QUESTIONS, lambda: worker.is_cancelled))
            except (QcrdError, OSError) as error:
                found = Content.styled(f"✗ {line(str(error), 400)}", "$error")
        if not worker.is_cancelled:
            self.app.call_from_thread(self._tried, found)

    def _wait_for(self, what: str) -> None:
        """Say so until it is there: a process of its own takes a while to begin."""
        self._under_way = what
        self._result()

    def _tried(self, found: Content) -> None:
        self._trial, self._under_way = found, ""
        self._result()

    def _look_at_cost(self) -> None:
        worker, toml = get_current_worker(), to_toml(self._spec)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "spec.toml"
            file.write_text(toml, encoding="utf-8")
            try:
                lines, problems = launch.run_check(self.database, file, lambda: worker.is_cancelled)
            except (QcrdError, OSError) as error:
                lines, problems = [], [str(error)]
        if not worker.is_cancelled:
            self.app.call_from_thread(self._cost_is_known, toml, lines, problems)

    def _cost_is_known(self, toml: str, lines: list[tuple[str, str]], problems: list[str]) -> None:
        self._checked, self._under_way = (toml, lines, problems), ""
        self._result()

    def _cost_lines(self) -> list[tuple[str, str]]:
        return [] if self._checked is None else [x for x in self._checked[1] if x[0] in COST]

    def _set(self, key: str, value: str) -> None:
        if key == "method.name":  # what was set for one method means nothing to another
            self._given = {k: v for k, v in self._given.items() if not k.startswith("method.")}
        self._check({**self._given, key: value})
        if self._problem is None:
            value = as_toml(value, next(f.value for f in self._fields.rows if f.key == key))
        self._given[key] = value
        self._check()

    def _close_field(self) -> None:
        self._finding = False
        self.query_one(Input).remove_class("-shown")
        self.set_focus(self._fields)

    def _check(self, given: dict[str, str] | None = None) -> None:
        given = self._given if given is None else given
        try:
            self._spec = read_spec({}, [f"{key}={value}" for key, value in given.items()], "the form", Path.cwd())
            self._problem = None
        except QcrdError as error:
            self._problem = str(error).removeprefix("--set ").removeprefix("the form: ")
        wrong = self.query_one("#wrong", Static)
        wrong.set_class(self._problem is not None, "-shown")
        wrong.update(Content(f"✗ {line(self._problem, 400)}" if self._problem else ""))
        self._shown = dict(given)
        self._list()
        self._result()

    def _list(self) -> None:
        """The keys that hold the words that were looked for, or all."""
        every = spec_fields(self._spec)
        found = [f for f in every if f.kind and all(word in f"{f.key} {f.help}".lower() for word in self._words)]
        self._fields.show(found if self._words and found else every)
        told = f" · {len(found)} of {sum(bool(f.kind) for f in every)} hold {line(' '.join(self._words), 40)}"
        self._fields.border_title = Content("New run" + (told if self._words else ""))
        self._about()

    @property
    def _fields(self) -> PickList[SpecField]:
        return self.query_one("#fields", PickList)

    def _line(self, f: SpecField) -> tuple[str, Style]:
        """A section's name, or a key and its value; what differs from the default is bold and marked."""
        if not f.kind:
            return f"[{f.key}]", Style(dim=True, bold=True)
        changed = f.key in self._shown or f.value != f.default
        name = f.key if self._words else f.key.rpartition(".")[2]
        text = f"{'•' if changed else ' '} {name:<{KEY_WIDTH}} {line(self._shown.get(f.key, f.value), 200)}"
        return text, Style(bold=changed, dim=not changed)

    def _field(self) -> SpecField:
        fields = self._fields
        return fields.rows[fields.cursor]

    def _about(self) -> None:
        f = self._field()
        about = self.query_one("#about", Static)
        about.border_title = Content(f.key)
        default = Content.styled(f"{f.kind} · default {line(f.default, 80)}", "dim") if f.kind else Content("")
        about.update(Content("\n").join([Content(line(f.help, 900)), default]))

    def _result(self) -> None:
        parts = [Content.styled(self._under_way, "dim"), Content("")] if self._under_way else []
        if self._checked is not None:
            of, lines, problems = self._checked
            parts += dry_run(lines, problems, of_now=of == to_toml(self._spec))
        if self._trial is not None:
            parts += [Content.styled("the prompt, tried", "bold"), self._trial, Content("")]
        parts.append(Content.styled("the file it is", "bold"))
        parts.append(Content(changed_toml(self._given) or "# all at their defaults"))
        self.query_one("#result Static", Static).update(Content("\n").join(parts))
