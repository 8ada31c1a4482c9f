"""Where a wrong rationale leaves the right one, and how both are laid out."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from engine.store.rationales.questions import Candidate
from engine.store.rationales.search import pattern
from screens.widgets.pair import Drawing, heading, layout, source
from screens.widgets.parting import Parting, Side, edited, parting

RIGHT = "8 first. first 8 plus 4 makes 12. then 12 minus 4 makes 8. finally 8 plus 1 makes 9. the answer 9."
WRONG = "8 first. first 8 plus 4 makes 12. then 12 plus 4 makes 16. finally 16 plus 1 makes 17. the answer 17."


def candidate(text: str, polarity: str = "negative", **more: object) -> Candidate:
    values: dict[str, object] = {
        "number": 0, "polarity": polarity, "source": "self", "iteration": 26, "answer": "17", "text": text,
        "length": len(text), "copies": 1, "quality": 0.11, "cross_entropy": 1.87, "weight": -0.18, "chosen": True,
        "active": True,
    }  # fmt: skip
    return Candidate(**{**values, **more})  # type: ignore[arg-type]


def test_of_several_teachers_it_says_which() -> None:
    teacher = candidate(RIGHT, "positive", source="teacher", teacher="openai/small-4")
    assert source(teacher) == "small-4"
    assert source(candidate(WRONG, source="minority", teacher="local/a/tiny")) == "tiny minority, sample 1"
    assert source(candidate(WRONG, source="minority")) == "teacher minority, sample 1"


def test_the_words_that_differ_and_where_they_begin() -> None:
    apart = parting(RIGHT, WRONG)
    wrong, right = WRONG.split(), RIGHT.split()
    assert wrong[apart.negative.first or 0] == "plus"
    assert right[apart.positive.first or 0] == "minus"
    assert [wrong[i] for i in sorted(apart.negative.words)] == ["plus", "16.", "16", "17.", "17."]
    assert [right[i] for i in sorted(apart.positive.words)] == ["minus", "8.", "8", "9.", "9."]


def test_two_phrasings_are_not_marked_word_by_word() -> None:
    other = "begin 8. add 4 get 12. take 4 get 9. add 1 get 10. so 10."
    apart = parting(RIGHT, other)
    assert not apart.alike
    assert apart.positive.words == apart.negative.words == frozenset()
    # the second sum is the first step that comes to another number
    assert other.split()[apart.negative.first or 0] == "9."
    assert RIGHT.split()[apart.positive.first or 0] == "8."


def test_without_numbers_two_phrasings_part_where_their_words_do() -> None:
    apart = parting("birds fly because they have wings", "so fish swim in water all day")
    assert (apart.positive, apart.negative, apart.alike) == (Side(0), Side(0), False)


def test_equal_texts_do_not_part() -> None:
    assert parting(RIGHT, RIGHT) == Parting(Side(), Side())


def test_a_negative_that_stops_short_parts_at_its_last_word() -> None:
    apart = parting("a b c d", "a b")
    assert (apart.positive.first, apart.negative.first) == (2, 1)
    assert parting("a b", "").negative.first is None


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_what_is_not_marked_is_in_both_in_order(left: list[str], right: list[str]) -> None:
    gone, new = edited(left, right)
    assert [w for i, w in enumerate(left) if i not in gone] == [w for i, w in enumerate(right) if i not in new]


def test_the_layout_of_a_negative() -> None:
    rows = layout([candidate(WRONG)], 56, Drawing(marks={0: parting(RIGHT, WRONG).negative})).plain.split("\n")
    assert rows[0] == "▶ self, it 26 → 17   s 0.11   CE 1.87   weight −0.18"
    below = next(i for i, row in enumerate(rows) if "parts company here" in row)
    mark = next(i for i, c in enumerate(rows[below]) if c in "╰╯")
    assert rows[below - 1][mark:].startswith("[plus]")
    assert all(cell_len(row) <= 56 for row in rows)


def test_what_has_no_weight_says_why() -> None:
    silent = candidate("x", active=False, cross_entropy=4.1, chosen=True)
    text = layout([silent], 56, Drawing(reasons={0: "silent: 4.10 > 3"})).plain
    assert "silent: 4.10 > 3" in text
    assert "weight" not in text
    assert "not visited" in layout([candidate("x", cross_entropy=None, quality=None)], 56, Drawing()).plain
    assert layout([], 56, Drawing()).plain == "none"
    dropped = candidate("y", "dropped", number=3, cross_entropy=None, reason="right", chosen=False)
    below = layout([], 56, Drawing(reasons={3: "dropped: its answer is right"}), [dropped])
    assert below.plain.split("\n")[2] == "  self, it 26 → 17   dropped: its answer is right"
    assert below.starts == {3: 2}


def test_a_flag_a_note_the_cursor_and_what_was_searched_for_are_shown() -> None:
    marked = candidate("then 12 plus 4 makes 16.", flagged=True, note="[/] adds\nwhere\x1b[2J it should subtract")
    laid = layout([marked], 40, Drawing(cursor=0, found=pattern("12 PLUS")))
    rows = laid.plain.split("\n")
    assert rows[0].startswith("▶ ⚑ self, it 26")
    assert [row.strip() for row in rows if "✎" in row or "subtract" in row] == [
        "✎ [/] adds where[2J it should subtract"
    ]
    reversed_words = [laid.plain[s.start : s.end] for s in laid.content.spans if "reverse" in str(s.style)]
    assert reversed_words == ["▶ ⚑ self, it 26 → 17", "12", "plus"]


def test_headings_count() -> None:
    assert heading("+", "positives", [candidate("a", copies=2), candidate("b")]) == "+ positives (3, 2 distinct)"
    assert heading("−", "negatives", []) == "− negatives (0)"


@given(st.text(max_size=300), st.text(max_size=300), st.integers(1, 60), st.booleans())
def test_any_text_fits_its_width(left: str, right: str, width: int, wrap: bool) -> None:
    content = layout([candidate(right)], width, Drawing(marks={0: parting(left, right).negative}, wrap=wrap))
    assert "\x1b" not in content.plain
    if wrap and width >= 30:
        assert all(cell_len(row) <= width for row in content.plain.split("\n"))
