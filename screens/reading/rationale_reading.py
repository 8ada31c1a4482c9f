"""What the rationale screen has read for it, and its errands: all of it on the reader's thread."""

import sqlite3
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.store.rationales.filter import Filter, last_steps, matching_questions
from engine.store.rationales.notes import remark
from engine.store.rationales.questions import Question, next_followed, read_keys, read_question
from engine.store.rationales.search import Match, matching, nearest, walk
from screens.keys.table import key_of
from screens.reading.reader import Answer, Reader, Said
from screens.widgets.parting import Parting, parting
from screens.widgets.words import count, line, paragraph

COMPARED = 3000
"""Characters of a rationale that are compared."""
CANDIDATES = 8
"""Positives that the chosen negative is compared with."""


@dataclass(frozen=True, slots=True)
class Apart:
    """Where the chosen negative leaves the right reasoning of a positive."""

    positive: int
    """Its number."""
    negative: int
    parting: Parting


@dataclass(frozen=True, slots=True)
class Seen:
    """A question as it is shown."""

    question: Question
    apart: Apart | None
    matches: tuple[int, ...] | None
    """Places of the questions that the filter lets in; None: there is no filter."""
    matched: int | None = None
    """Step of the visit with which this question was let in; None: the filter asks nothing of visits."""
    beside: tuple["Seen", ...] = ()
    """The questions before and behind it as they were when this one was first read, to be shown until they are read."""


@dataclass(frozen=True, slots=True)
class RationalesWatch:
    """One question of a run at one of its visits."""

    run_id: int | None
    index: int | None
    """Place of the question in the training set; None: the first that is followed."""
    step: int | None
    """The visit of it; None: the last."""
    filter: Filter = Filter()  # noqa: RUF009
    """Which questions are gone through."""

    def read(self, con: sqlite3.Connection, kept: dict[str, Any]) -> Seen | None:
        """The question; None where the run has none."""
        if self.run_id is None:
            return None
        keys = keys_of(con, kept, self.run_id)
        index = self.index
        if index is None:
            index = next_followed(con, self.run_id, keys, -1) or 0
        matches = matches_of(con, kept, self.run_id, self.filter)
        # the visit that the filter has let in, where it is kept: the run may have come by since
        matched = kept["filter"][2].get(keys[index]) if self.filter.of_visits and index < len(keys) else None
        question = read_question(con, self.run_id, keys, index, matched if self.step is None else self.step)
        if question is None:
            return None
        seen = Seen(question, apart(question), matches, matched)
        return replace(seen, beside=self._beside(con, kept, keys, index, seen))

    def _beside(
        self, con: sqlite3.Connection, kept: dict[str, Any], keys: Sequence[str], index: int, seen: Seen
    ) -> tuple[Seen, ...]:
        """Read once, when what was asked for is drawn; where questions are left out it is not known which come next."""
        if self.filter != Filter() or self.step is not None:
            kept.pop("here", None)
            return ()
        here = (self.run_id, index, len(keys))
        if kept.get("here") != here:
            kept["left"] = kept["looked at"] if "here" in kept else None  # most go on: the one behind was just read
            kept["here"], kept["beside"], kept["more"] = here, None, True
        elif kept["beside"] is None:
            left: Seen | None = kept["left"]
            known = {} if left is None or left.question.run_id != self.run_id else {left.question.index: left}
            kept["beside"] = tuple(
                one for at in (index - 1, index + 1) if (one := known.get(at) or self._at(con, keys, at)) is not None
            )
        kept["looked at"] = seen
        return kept["beside"] or ()

    def _at(self, con: sqlite3.Connection, keys: Sequence[str], index: int) -> Seen | None:
        question = read_question(con, self.run_id or 0, keys, index)
        return None if question is None else Seen(question, apart(question), None)

    def at(self, content: Seen, now: float) -> Seen:
        """Nothing about it grows old."""
        return content


@dataclass(frozen=True, slots=True)
class Found:
    """Where a search led; None: nowhere."""

    run_id: int
    words: str
    """Empty: no words were looked for."""
    match: Match | None
    nowhere: str = ""
    """What to say where nothing was found."""


def keys_of(con: sqlite3.Connection, kept: dict[str, Any], run_id: int) -> tuple[str, ...]:
    """Ids of the run's questions in order, read anew when there are more."""
    known, keys = kept.get("questions", (-1, ()))
    count = con.execute("SELECT count(*) FROM votes WHERE run_id = ?", (run_id,)).fetchone()[0]
    if known != run_id or count != len(keys):
        keys = read_keys(con, run_id)
        kept["questions"] = (run_id, keys)
    return tuple(keys)


def matches_of(con: sqlite3.Connection, kept: dict[str, Any], run_id: int, wanted: Filter) -> tuple[int, ...] | None:
    """Places that the filter lets in, looked for anew once an iteration and when something was remarked.

    What changes with every visit must not let the list jump under the one who goes through it.
    """
    if wanted == Filter():
        return None
    moment = con.execute(
        "SELECT r.iteration, r.status, (SELECT max(n.at) FROM rationale_notes n WHERE n.run_id = r.id),"
        " (SELECT count(*) FROM rationale_notes n WHERE n.run_id = r.id) FROM runs r WHERE r.id = ?",
        (run_id,),
    ).fetchone()
    keys = keys_of(con, kept, run_id)
    key = (run_id, wanted, moment, len(keys))
    if kept.get("filter", (None,))[0] != key:
        places = {name: i for i, name in enumerate(keys)}
        last: dict[str, int] = {}
        if wanted.of_visits:  # one reading does for all filters of that moment
            known, last = kept.get("last", (None, last))
            if known != (run_id, moment, len(keys)):
                last = last_steps(con, run_id)
                kept["last"] = ((run_id, moment, len(keys)), last)
        kept["filter"] = (key, matching_questions(con, run_id, places, wanted, last), last)
    return tuple(kept["filter"][1])


def apart(question: Question) -> Apart | None:
    """The chosen pair; where that is two phrasings, the negative beside the positive that it is nearest to.

    Against another phrasing nearly every word differs, and the slip would be lost among them.
    """
    negative = next((c for c in question.negatives if c.chosen), None)
    if negative is None or not question.positives:
        return None
    wrong = paragraph(negative.text, COMPARED)
    found = [
        Apart(c.number, negative.number, parting(paragraph(c.text, COMPARED), wrong))
        for c in question.positives[:CANDIDATES]
    ]
    alike = [one for one in found if one.parting.alike]
    if alike and not (found[0].parting.alike and question.positives[0].chosen):
        return min(alike, key=lambda one: one.parting.edits)
    return found[0]


def to_followed(reader: Reader, run_id: int, after: int) -> Answer:
    """The next question that is followed."""
    index = reader.read(lambda con, kept: next_followed(con, run_id, keys_of(con, kept, run_id), after))
    match = None if index is None else Match(index, None, None)
    return Answer("rationales", Found(run_id, "", match, "no question of this run is followed"))


def into(reader: Reader, run_id: int, place: int, wanted: Filter) -> Answer:
    """The question at `place` where the filter lets it in, else the next that it does, round the end."""
    places = reader.read(lambda con, kept: matches_of(con, kept, run_id, wanted)) or ()
    return Answer(
        "rationales",
        Found(
            run_id,
            "",
            nearest(places, place - 1, 1),
            f"no question has {wanted}: {key_of('rationales.filter')} changes it",
        ),
    )


def find(reader: Reader, run_id: int, after: int, words: str, by: int, wanted: Filter) -> Answer:
    """The next question that holds the words, among those that the filter lets in."""

    def look(con: sqlite3.Connection, kept: dict[str, Any]) -> Match | None:
        keys = keys_of(con, kept, run_id)
        key = (run_id, words, len(keys))
        if kept.get("search", (None,))[0] != key:
            kept["search"] = (key, matching(con, run_id, keys, words))
        hits = kept["search"][1]
        places = matches_of(con, kept, run_id, wanted)
        if hits is None:
            return _among(con, run_id, keys, places, after, words, by)
        if places is not None:
            let_in = set(places)
            hits = [hit for hit in hits if hit in let_in]
        return nearest(hits, after, by)

    nowhere = f"no question or rationale holds {line(words, 60)!r}"
    if wanted != Filter():
        nowhere += f", of those with {wanted}"
    return Answer("rationales", Found(run_id, words, reader.read(look), nowhere))


def _among(
    con: sqlite3.Connection,
    run_id: int,
    keys: Sequence[str],
    places: tuple[int, ...] | None,
    after: int,
    words: str,
    by: int,
) -> Match | None:
    if places is None:
        return walk(con, run_id, keys, after, words, by)
    # where `after` is not among them, from the one before it
    at = bisect_left(places, after)
    if by > 0 and (at == len(places) or places[at] != after):
        at -= 1
    found = walk(con, run_id, [keys[i] for i in places], at, words, by)
    return None if found is None else Match(places[found.index], None, None)


def mark(reader: Reader, run_id: int, example: str, number: int, name: str, flagged: bool) -> Said:
    """Flag a rationale or a question, or take the flag away."""
    remark(reader.database, run_id, example, number, flagged=flagged)
    return Said(f"{'flagged' if flagged else 'took the flag from'} {name}")


def annotate(reader: Reader, run_id: int, example: str, number: int, name: str, note: str) -> Said:
    """Write a note beside it; an empty one is taken away."""
    remark(reader.database, run_id, example, number, note=note)
    return Said(f"noted beside {name}" if note.strip() else f"took the note from {name}")


def filtered(seen: Seen, wanted: Filter) -> str:
    """The filter, and which of how many that it lets in; "" where there is none."""
    if seen.matches is None:
        return ""
    at = bisect_left(seen.matches, seen.question.index)
    here = at < len(seen.matches) and seen.matches[at] == seen.question.index
    here = here and seen.matched in (None, seen.question.step)  # another visit may be otherwise
    which = count(at + 1) if here else "–"
    return f"{line(str(wanted), 60)}: {which} of {count(len(seen.matches))}"
