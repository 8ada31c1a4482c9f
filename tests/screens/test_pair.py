"""Where a wrong rationale leaves the right one, and how both are laid out."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from engine.store.questions import Candidate
from screens.widgets.pair import Parting, edited, heading, layout, parting, source

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
    assert source(candidate(WRONG, source="minority", teacher="local/a/tiny")) == "tiny minority"
    assert source(candidate(WRONG, source="minority")) == "teacher minority"


def test_the_words_that_differ_and_where_they_begin() -> None:
    apart = parting(RIGHT, WRONG)
    words = WRONG.split()
    assert words[apart.first or 0] == "plus"
    assert [words[i] for i in sorted(apart.words)] == ["plus", "16.", "16", "17.", "17."]


def test_two_phrasings_are_not_marked_word_by_word() -> None:
    apart = parting(RIGHT, "begin 8. add 4 get 12. take 4 get 8. add 1 get 9. so 10.")
    assert (apart.first, apart.words) == (0, frozenset())


def test_equal_texts_do_not_part() -> None:
    assert parting(RIGHT, RIGHT) == Parting(None, frozenset())


def test_a_negative_that_stops_short_parts_at_its_last_word() -> None:
    assert parting("a b c d", "a b").first == 1
    assert parting("a b", "").first == -1 or parting("a b", "").first is None


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_what_is_not_marked_is_in_both_in_order(left: list[str], right: list[str]) -> None:
    kept = [w for i, w in enumerate(right) if i not in edited(left, right)]
    rest = iter(left)
    assert all(word in rest for word in kept)


def test_the_layout_of_a_negative() -> None:
    rows = layout([candidate(WRONG)], 56, 3.0, apart=parting(RIGHT, WRONG)).plain.split("\n")
    assert rows[0] == "▶ self, it 26 → 17   s 0.11   CE 1.87   weight −0.18"
    below = next(i for i, row in enumerate(rows) if "parts company here" in row)
    mark = next(i for i, c in enumerate(rows[below]) if c in "╰╯")
    assert rows[below - 1][mark:].startswith("[plus]")
    assert all(cell_len(row) <= 56 for row in rows)


def test_what_the_hinge_silenced_says_so() -> None:
    text = layout([candidate("x", active=False, cross_entropy=4.1, chosen=False)], 56, 3.0).plain
    assert "silent: 4.10 > 3" in text
    assert "weight" not in text
    assert "not visited" in layout([candidate("x", cross_entropy=None, quality=None)], 56, 3.0).plain
    assert layout([], 56, 3.0).plain == "none"


def test_headings_count() -> None:
    assert heading("+", "positives", [candidate("a", copies=2), candidate("b")]) == "+ positives (3, 2 distinct)"
    assert heading("−", "negatives", []) == "− negatives (0)"


@given(st.text(max_size=300), st.text(max_size=300), st.integers(1, 60), st.booleans())
def test_any_text_fits_its_width(left: str, right: str, width: int, wrap: bool) -> None:
    content = layout([candidate(right)], width, 3.0, apart=parting(left, right), wrap=wrap)
    assert "\x1b" not in content.plain
    if wrap and width >= 30:
        assert all(cell_len(row) <= width for row in content.plain.split("\n"))
