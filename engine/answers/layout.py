"""Where the answer stands in a completion: run-ons, the strict layout, the stated phrases. Shared by every kind.

Model text is hostile and may be megabytes long: every pattern here takes time linear in its length.
"""

import re
from dataclasses import dataclass

MOST = 20
"""At most this many markers are tried, from the last: a text that repeats one forever stays cheap."""
LONGEST_LINE = 2000
"""Characters of an answer's line that are looked at."""

RUN_ON = re.compile(
    r"\n\s{0,20}(?:#{1,6} |\*\*)?(?:Q|Question|Problem|Input|Human|User)(?:\*\*)?\s{0,3}:"
    r"|<\s{0,2}question\s{0,2}>|\n\n\s{0,20}Q\s{0,20}\Z",
    re.IGNORECASE,
)
EXPLANATION = re.compile(r"<\s{0,2}explanation\s{0,2}>\s{0,3}:?", re.IGNORECASE)
HEADING = re.compile(
    r"\A(?:<\s{0,2}(?:explanation|rationale|reasoning)\s{0,2}>\s{0,3}:?|"
    r"(?:explanation|rationale|reasoning|solution|A)\s{0,3}:)",
    re.IGNORECASE,
)
STRICT = re.compile(
    r"<\s{0,2}answer\s{0,2}>[ \t]{0,3}:?|(?:\*\*|\b)(?:final[ ]{1,3})?answer(?:\*\*)?[ \t]{0,3}:(?:\*\*)?",
    re.IGNORECASE,
)
SPOKEN = re.compile(
    r"(?:\b(?:so|therefore|thus|hence|finally),?[ ]{1,3})?"
    r"\b(?:the|our|my)[ ]{1,3}(?:(?:final|correct|best|right)[ ]{1,3})?(?:answer|result)"
    r"(?:[ ]{1,3}(?:to|for)\b[^.:\n]{1,80}?)?"
    r"(?:[ ]{1,3}(?:(?:is|are|would[ ]be|must[ ]be|should[ ]be)\b|=)|[ ]{0,3}:|(?=[ ]{1,3}[-$(]{0,3}\d))"
    r"(?:[ ]{1,3}(?:therefore|thus|then|that)\b)?[ ]{0,3}:?",
    re.IGNORECASE,
)
HASH_MARKS = re.compile(r"####[ \t]{0,3}")
SENTENCE_END = re.compile(r"[.!?](?=\s|\Z)|\n")
INTRODUCED = re.compile(r"\b(?:the|our|your|an|this|that|final|correct)[ ]{1,3}\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Clause:
    """What follows a marker: `content` up to the end of its line; `start` and `end` are offsets in the text."""

    start: int
    content: str
    end: int


def cut_run_on(text: str) -> str:
    """The text without a next question that the model went on to write, and without its own heading."""
    text = text.strip()
    match = RUN_ON.search(text, 1)
    if match:
        text = text[: match.start()]
    headings = EXPLANATION.finditer(text)
    next(headings, None)
    second = next(headings, None)
    if second:
        text = text[: second.start()]
    return HEADING.sub("", text, count=1).strip()


def strict_clauses(text: str) -> list[Clause]:
    """Clauses behind "<Answer>:" or "Answer:", the last first."""
    markers = [m for m in STRICT.finditer(text) if m[0][0] == "<" or not _introduced(text, m.start())]
    return [_clause(text, m) for m in reversed(markers[-MOST:])]


def spoken_clauses(text: str) -> list[Clause]:
    """Clauses behind "the answer is" and its kin, the last first."""
    return [_clause(text, m) for m in reversed(list(SPOKEN.finditer(text))[-MOST:])]


def hash_clauses(text: str) -> list[Clause]:
    """Clauses behind GSM8K's "####", the last first."""
    return [_clause(text, m) for m in reversed(list(HASH_MARKS.finditer(text))[-MOST:])]


def boxes(text: str) -> list[Clause]:
    """The contents of \\boxed{...} and \\fbox{...}, balanced, the last first."""
    markers = list(re.finditer(r"\\(?:boxed|fbox)\s{0,3}(?:\{|(?=\w))", text))
    return [c for m in reversed(markers[-MOST:]) if (c := _box(text, m)) is not None]


def first_sentence(clause: str) -> str:
    """Up to the first full stop that ends a word, which is left out."""
    match = SENTENCE_END.search(clause)
    return (clause[: match.start()] if match else clause).strip()


def without_clause(text: str, clause: Clause) -> str:
    """The chain of thought: what stands before the answer, or behind it where the answer comes first."""
    before = text[: clause.start].strip()
    return before or HEADING.sub("", text[clause.end :].strip(), count=1).strip()


def begins_line(text: str, clause: Clause) -> bool:
    """Whether nothing but white space stands before the clause on its line."""
    return not text[: clause.start].rpartition("\n")[2].strip() or text[clause.start : clause.start + 1] == "\n"


def _introduced(text: str, start: int) -> bool:
    """ "... gives us the answer: 5" is running text, not the layout."""
    return INTRODUCED.search(text[max(0, start - 12) : start]) is not None


def _clause(text: str, marker: re.Match[str]) -> Clause:
    start = marker.end()
    while start < len(text) and start - marker.end() < 100 and text[start].isspace():
        start += 1
    end = text.find("\n", start, start + LONGEST_LINE)
    end = min(len(text), start + LONGEST_LINE) if end < 0 else end
    content = text[start:end].strip().removesuffix("**")
    inner = boxes(content)
    return Clause(marker.start(), inner[0].content if inner else content, end)


def _box(text: str, marker: re.Match[str]) -> Clause | None:
    start = marker.end()
    if text[start - 1] != "{":  # \boxed 5
        return Clause(marker.start(), text[start], start + 1)
    depth = 1
    for i in range(start, min(len(text), start + LONGEST_LINE)):
        if text[i] == "{":
            depth += 1
        elif text[i] == "}":
            depth -= 1
        if depth == 0:
            return Clause(marker.start(), text[start:i].strip(), i + 1)
    return None
