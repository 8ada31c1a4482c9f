"""The one table of keys: bindings, footer, hints in borders and the help screen are all made from it.

Terminals and multiplexers take Ctrl+B, Ctrl+S and Ctrl+H/I/J/M: none of them is used.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from screens.keys.key import Key, movement

if TYPE_CHECKING:
    from textual.binding import BindingType

NAME = re.compile(r"\{([a-z]+\.[a-z-]+)\}")
PLACES = {
    "all": "Everywhere",
    "runs": "Runs",
    "live": "Live",
    "rationales": "Rationales",
    "compare": "Compare",
    "new": "New run",
    "try": "Try it",
    "votes": "Votes",
    "sql": "SQL",
    "teacher": "Teacher",
    "settings": "Settings",
}


TABLE = (
    Key("1", "1", "go('runs')", "all", "runs", "The list of all runs"),
    Key("2", "2", "go('live')", "all", "live", "The run: its stages, curves and log"),
    Key(
        "3", "3", "go('rationales')", "all", "rationales", "The run's rationales, positive beside negative", footer=True
    ),
    Key("4", "4", "go('compare')", "all", "compare", "Runs chosen in the list, beside each other"),
    Key("5", "5", "go('sql')", "all", "sql", "Ask the database in SQL"),
    Key("6", "6", "go('teacher')", "all", "teacher", "The teachers' ledger: queue, spending, each request"),
    Key("escape", "Esc", "back", "all", "back", "Back: from rationales to the run, from the run to the list"),
    Key("f2", "F2", "settings", "all", "settings", "Theme, keys and what else is remembered"),
    Key("question_mark", "?", "keys_help", "all", "help", "All keys", footer=True),
    Key("q,ctrl+c", "q", "quit", "all", "quit", "Leave the console; runs go on without it", footer=True),
    Key(
        "enter",
        "Enter",
        "open",
        "runs",
        "open",
        "Open the run under the cursor; fold or unfold a group",
        footer=True,
        pane="runs",
    ),
    *movement("runs", "run"),
    Key(
        "n",
        "n",
        "app.new_run",
        "runs",
        "new",
        "A new run: a form, with what it will cost",
        footer=True,
        pane="runs",
    ),
    Key("space", "Space", "choose", "runs", "choose", "Choose the run, or a group's runs, and go on", pane="runs"),
    Key(
        "slash",
        "/",
        "ask('filter')",
        "runs",
        "filter",
        "Which runs are listed; Tab completes",
        footer=True,
        pane="runs",
    ),
    Key(
        "S",
        "S",
        "ask('sort')",
        "runs",
        "sort",
        "By which column or setting; the same again: the other way round",
        pane="runs",
    ),
    Key("b", "b", "ask('group')", "runs", "group", "A tree by columns or settings", pane="runs"),
    Key("c", "c", "compare", "runs", "compare", "Lay the chosen runs beside each other", footer=True, pane="runs"),
    Key(
        "x",
        "x",
        "stop",
        "runs",
        "stop",
        "Save a checkpoint and stop the run, or those chosen (asks first)",
        pane="runs",
    ),
    Key("r", "r", "resume", "runs", "resume", "Let paused runs go on, start a worker for the others", pane="runs"),
    Key("asterisk", "*", "star", "runs", "star", "Star the run, or those chosen; again: take it away", pane="runs"),
    Key("t,number_sign", "t #", "tag", "runs", "tag", "Give tags, or take them away (-tag)", pane="runs"),
    Key("N", "N", "note", "runs", "note", "Write a note on the run under the cursor", pane="runs"),
    Key("d", "d", "archive", "runs", "archive", "Put away the run, or those chosen; again: bring back", pane="runs"),
    Key("A", "A", "archived", "runs", "show archived", "Show what was put away, or hide it"),
    Key("C", "C", "ask('columns')", "runs", "columns", "Which columns, in which order"),
    Key("h,left", "h ←", "fold", "runs", "fold", "Fold the group"),
    Key("l,right", "l →", "unfold", "runs", "unfold", "Unfold the group"),
    Key(
        "y",
        "y",
        "copy",
        "runs",
        "copy command",
        "Copy the command line of the last thing done, or of the list",
        pane="runs",
    ),
    Key("a", "a", "try_it", "runs", "ask", "Try it: ask the run's student a question", pane="runs"),
    Key("E", "E", "export", "runs", "export", "The run's best student as a Hugging Face folder", pane="runs"),
    Key("e", "e", "votes", "runs", "votes", "What votes among several answers of the run's student are worth"),
    Key("p", "p", "pause", "live", "pause", "Pause the run, or let a paused one go on", footer=True),
    Key("x", "x", "stop", "live", "stop", "Save a checkpoint and stop the run (asks first)", footer=True),
    Key("c", "c", "checkpoint", "live", "checkpoint", "Save a checkpoint now"),
    Key("r", "r", "resume", "live", "resume", "Start a new worker for a stopped, failed or stale run", footer=True),
    Key("s", "s", "smooth", "live", "smooth", "Smooth the curves of single steps, or show every point", pane="loss"),
    Key("y", "y", "log_y", "live", "log y", "Logarithmic axis for the losses", pane="loss"),
    Key(
        "h,left",
        "h ←",
        "cursor(-1)",
        "live",
        "mark",
        "The mark on the charts to the left: titles tell values there",
    ),
    Key("l,right", "l →", "cursor(1)", "live", "mark right", "The mark to the right; a click puts it anywhere"),
    Key("plus,equals_sign", "+", "zoom(1)", "live", "zoom", "Half of what is shown, around the mark", pane="loss"),
    Key("minus", "-", "zoom(-1)", "live", "zoom out", "Twice as much of the curves"),
    Key("0", "0", "all", "live", "all", "All of the curves, no mark"),
    Key("X", "X", "across", "live", "axis", "Charts by step, epoch or time"),
    Key("v", "v", "charts", "live", "other charts", "Learning rate, gradient, memory; and back", pane="speed"),
    Key("L", "L", "level", "live", "level", "The log from the next higher level on, or all of it", pane="log"),
    Key("t", "t", "next_tab", "live", "next tab", "Next of Charts, Stages and Log, where they do not fit side by side"),
    *movement("live", "line of the log", pane="log"),
    Key("a", "a", "try_it", "live", "ask", "Try it: ask the run's student a question"),
    Key("E", "E", "export", "live", "export", "The run's best student as a Hugging Face folder"),
    Key("e", "e", "votes", "live", "votes", "What votes among several answers of the run's student are worth"),
    Key("J", "J", "question(1)", "rationales", "next", "Next question", footer=True),
    Key("K", "K", "question(-1)", "rationales", "previous", "Previous question", footer=True),
    Key(
        "left_square_bracket",
        "[",
        "visit(-1)",
        "rationales",
        "earlier",
        "Earlier visit of this question",
        pane="history",
    ),
    Key("right_square_bracket", "]", "visit(1)", "rationales", "later", "Later visit of this question", pane="history"),
    Key("slash", "/", "search", "rationales", "search", "Find a question by its text or a rationale's", footer=True),
    Key("n", "n", "search_next(1)", "rationales", "next match", "Next question that matches the search"),
    Key("N", "N", "search_next(-1)", "rationales", "previous match", "Previous question that matches the search"),
    Key(
        "F",
        "F",
        "filter",
        "rationales",
        "filter",
        "Which questions {rationales.next} and {rationales.previous} go through",
        footer=True,
    ),
    Key("right_curly_bracket", "}", "rationale(1)", "rationales", "next rationale", "Next rationale of the pane"),
    Key(
        "left_curly_bracket",
        "{",
        "rationale(-1)",
        "rationales",
        "previous rationale",
        "Previous rationale of the pane; before the first {rationales.flag} and {rationales.note} are for the question",
    ),
    Key(
        "m",
        "m",
        "flag",
        "rationales",
        "flag",
        "Flag the rationale or question, or take the flag away",
        pane="positives",
    ),
    Key("M", "M", "note", "rationales", "note", "Write a note beside the rationale or question", pane="positives"),
    Key(
        "d",
        "d",
        "difference",
        "rationales",
        "difference",
        "Mark the words that differ between the chosen pair, or not",
        pane="negatives",
    ),
    Key("j,down", "j ↓", "down", "rationales", "down", "Scroll the pane down"),
    Key("k,up", "k ↑", "up", "rationales", "up", "Scroll the pane up"),
    Key("tab", "Tab", "app.focus_next", "rationales", "other pane", "To the other pane"),
    Key("h", "h", "side('positives')", "rationales", "positives", "To the positives"),
    Key("l", "l", "side('negatives')", "rationales", "negatives", "To the negatives"),
    Key("g,home", "g", "first", "rationales", "first", "First question"),
    Key("G,end", "G", "last", "rationales", "last", "Last question"),
    Key("f", "f", "followed", "rationales", "next followed", "Next question that is followed: it has every visit"),
    Key("w", "w", "wrap", "rationales", "wrap", "Wrap long lines, or let them run off the edge", pane="positives"),
    Key("z", "z", "maximise", "rationales", "maximise", "The pane alone on the screen, and back", pane="negatives"),
    Key("a", "a", "try_it", "rationales", "ask", "Try it: ask the run's student this question"),
    Key("m", "m", "metric(1)", "compare", "metric", "Next metric", pane="curves", footer=True),
    Key("M", "M", "metric(-1)", "compare", "metric before", "Previous metric"),
    Key("s", "s", "smooth", "compare", "smooth", "Smooth the curves, or show every point", pane="curves"),
    Key("y", "y", "log_y", "compare", "log y", "Logarithmic axis", pane="curves"),
    Key("e", "e", "head", "compare", "head", "Questions of the other head", pane="questions", footer=True),
    *movement("compare", "question they disagree on", pane="questions"),
    Key("l,right", "l →", "other(1)", "compare", "other run", "Another run beside the first", pane="right"),
    Key("h,left", "h ←", "other(-1)", "compare", "run before", "The run before beside the first"),
    Key("t", "t", "next_tab", "compare", "next tab", "Next of Curves, Runs and Questions, where they do not fit"),
    Key("escape", "Esc", "leave", "new", "leave", "Out of the field, or of the form; what was typed stays"),
    Key("enter", "Enter", "edit", "new", "change", "Type a value, or take the next one", footer=True, pane="fields"),
    *movement("new", "key"),
    Key("right_square_bracket,l,right", "]", "section(1)", "new", "section", "Next section", pane="fields"),
    Key("left_square_bracket,h,left", "[", "section(-1)", "new", "section before", "Section before"),
    Key("slash", "/", "find", "new", "find", "Keys that hold these words in name or help", footer=True, pane="fields"),
    Key("d", "d", "default", "new", "default", "The key at its default", pane="fields"),
    Key("f", "f", "start_from", "new", "from", "Start from the next of a few kinds of run", footer=True, pane="fields"),
    Key(
        "dollar_sign",
        "$",
        "cost",
        "new",
        "cost",
        "What it would do and cost, unpaid",
        footer=True,
        pane="result",
    ),
    Key("t", "t", "try", "new", "try", "Ask the teacher three questions: prompt, answers, what is read", pane="result"),
    Key("w", "w", "write", "new", "write", "Write the TOML file, for qcrd run", footer=True, pane="result"),
    Key("R", "R", "begin(False)", "new", "run", "Start it now", footer=True, pane="result"),
    Key("J,space", "J", "scroll(1)", "new", "scroll", "Scroll what it would do and the file it is", pane="result"),
    Key("K", "K", "scroll(-1)", "new", "scroll up", "Scroll it up"),
    Key("Q", "Q", "begin(True)", "new", "queue", "Keep it queued: {runs.resume} starts it later", pane="result"),
    Key("enter", "Enter", "ask", "try", "ask", "Ask: both heads' answers, greedily", footer=True, pane="ask"),
    Key(
        "v",
        "v",
        "draw",
        "try",
        "vote",
        "Draw several answers of each head, and count them",
        footer=True,
        pane="student",
    ),
    Key("e,i", "e", "edit", "try", "edit", "To the field, to type a question", footer=True, pane="ask"),
    Key("j,down", "j ↓", "question(1)", "try", "next", "Next question of the run's data", pane="ask"),
    Key("k,up", "k ↑", "question(-1)", "try", "previous", "Previous question of the run's data", pane="ask"),
    Key("pagedown", "PgDn", "question(10)", "try", "ten on", "Ten questions on"),
    Key("pageup", "PgUp", "question(-10)", "try", "ten back", "Ten questions back"),
    Key("g,home", "g", "end(False)", "try", "first", "First question of the split"),
    Key("G,end", "G", "end(True)", "try", "last", "Last question of the split"),
    Key("s", "s", "split", "try", "split", "Questions of the next split: test, validation, train", pane="ask"),
    Key("x", "x", "stop", "try", "stop", "No more of this answer", pane="student"),
    Key("plus,equals_sign", "+", "samples(True)", "try", "more", "Twice as many answers for {try.vote}"),
    Key("minus", "-", "samples(False)", "try", "fewer", "Half as many answers for {try.vote}"),
    Key("T", "T", "temperature", "try", "temperature", "At which temperature {try.vote} draws: 0.3, 0.7, 1, 1.5"),
    Key("J,space", "J", "scroll(1)", "try", "scroll", "Scroll what is known, or the side in focus", pane="known"),
    Key("K", "K", "scroll(-1)", "try", "scroll up", "Scroll it up", pane="known"),
    Key("tab", "Tab", "app.focus_next", "try", "other pane", "To the next pane"),
    Key("y", "y", "copy", "try", "copy", "Copy the command line that asks the same", pane="student"),
    Key("escape", "Esc", "leave", "try", "leave", "Out of the field; back to where one came from"),
    Key("n", "n", "draw", "votes", "draw", "Draw answers, or more of them, and have them judged", True, pane="table"),
    Key("x", "x", "stop", "votes", "stop", "No more after the batch under way; n goes on", footer=True),
    Key(
        "v", "v", "judge", "votes", "judge", "Whose scores weigh the votes: nobody's, a ranking model's …", pane="table"
    ),
    Key("w", "w", "weigh", "votes", "weight", "What an answer of score s counts: s, 1 + s, 1 + 2s", pane="table"),
    Key("j,down", "j ↓", "other(1)", "votes", "older", "The evaluation before: another head, split, temperature"),
    Key("k,up", "k ↑", "other(-1)", "votes", "newer", "The evaluation after"),
    Key("y", "y", "copy", "votes", "copy", "Copy the command line that tells the same", pane="table"),
    Key("escape", "Esc", "leave", "votes", "back", "Back to where one came from"),
    Key("f5,ctrl+r", "F5", "run", "sql", "run", "Run the query (Ctrl+R too)", footer=True, pane="editor"),
    Key("escape", "Esc", "leave", "sql", "stop, leave", "Stop the query; from the editor to the result; back"),
    Key("f3,ctrl+o", "F3", "saved", "sql", "saved", "Take a saved query (Ctrl+O too)", footer=True, pane="editor"),
    Key("f4", "F4", "save", "sql", "save", "Save the query under a name", pane="editor"),
    Key(
        "f8",
        "F8",
        "export",
        "sql",
        "export",
        "Write all rows to a CSV, JSON or Parquet file",
        footer=True,
        pane="result",
    ),
    Key("ctrl+n", "Ctrl+N", "clear", "sql", "clear", "Empty the editor; ↑ ↓ in it then go through what was run"),
    Key("e,i", "e", "edit", "sql", "edit", "From the result to the editor; Tab there completes a word", pane="result"),
    Key("y", "y", "copy", "sql", "copy", "Copy the command line that asks the same", pane="result"),
    Key("s", "s", "sort", "sql", "sort", "Sort the rows shown by this column; again: the other way", pane="result"),
    *movement("sql", "row"),
    Key("l,right", "l →", "cell(0, 1)", "sql", "right", "Next column"),
    Key("h,left", "h ←", "cell(0, -1)", "sql", "left", "Previous column"),
    Key("enter,z", "Enter", "tall", "sql", "whole value", "More room for the value under the cursor", pane="value"),
    Key(
        "a",
        "a",
        "everyone",
        "teacher",
        "run or all",
        "The ledger of this run, or of all runs",
        footer=True,
        pane="queue",
    ),
    Key("f", "f", "state(1)", "teacher", "state", "Requests of the next state alone", footer=True, pane="list"),
    Key("F", "F", "state(-1)", "teacher", "previous state", "Requests of the previous state alone"),
    *movement("teacher", "request"),
    Key(
        "right_square_bracket",
        "]",
        "turn(1)",
        "teacher",
        "older",
        "The next thousand requests, older ones",
        pane="list",
    ),
    Key("left_square_bracket", "[", "turn(-1)", "teacher", "newer", "The thousand before, newer ones", pane="list"),
    Key(
        "enter,z",
        "Enter",
        "tall",
        "teacher",
        "whole",
        "The request alone on the screen, and back",
        footer=True,
        pane="request",
    ),
    Key("J,space", "J", "scroll(1)", "teacher", "scroll", "Scroll the request down", pane="request"),
    Key("K", "K", "scroll(-1)", "teacher", "scroll up", "Scroll the request up", pane="request"),
    Key(
        "t",
        "t",
        "next_pane",
        "teacher",
        "next pane",
        "Next of queue, spending and failures, where one fits",
        pane="spending",
    ),
    Key("y", "y", "copy", "teacher", "copy", "Copy the command line that shows the same"),
    Key("escape", "Esc", "leave", "teacher", "back", "From the request alone to the list; back to the run"),
    Key("enter,space", "Enter", "change", "settings", "change", "The next value; of a key: press another", pane="list"),
    Key("d", "d", "default", "settings", "default", "The setting at its default", pane="list"),
    *movement("settings", "setting"),
    Key("escape,q,f2", "Esc", "leave", "settings", "close", "Back to the screen", pane="list"),
)
"""With names in their helps."""


def named_in_words(keys: Sequence[Key]) -> tuple[Key, ...]:
    """With the keys themselves in their helps."""
    shown = {key.name: first(key) for key in keys}
    return tuple(
        replace(key, help=NAME.sub(lambda name: shown[name[1]], key.help)) if "{" in key.help else key for key in keys
    )


def first(key: Key) -> str:
    """Of its alternatives the first, as people write it."""
    return key.shown.split()[0]


KEYS = named_in_words(TABLE)
_in_force = {key.name: first(key) for key in KEYS}


def hold_to(keys: Sequence[Key]) -> None:
    """These are in force from now on: what texts of the console name."""
    _in_force.update({key.name: first(key) for key in keys})


def key_of(name: str) -> str:
    """What is to be pressed for it, as it is mapped now: texts that name a key ask here."""
    return _in_force[name]


def bindings(place: str) -> "list[BindingType]":
    """What Textual binds on a screen; "all" is for the App. By its id a binding is remapped."""
    from textual.binding import Binding  # the commands that read the table do without Textual

    return [
        Binding(k.keys, k.action, k.label, show=k.footer, key_display=k.shown, id=k.name)
        for k in KEYS
        if k.place == place
    ]


def hints(place: str, pane: str, keys: Sequence[Key] = KEYS) -> str:
    """The keys that belong to a pane, for its border."""
    return "  ".join(f"{k.shown} {k.label}" for k in keys if k.place == place and k.pane == pane)
