"""Equations: "( 84.0 / 2.0 )", "84 / 2" and "42" are equal. A bounded syntax tree is walked; nothing is evaluated."""

import ast
import re
from fractions import Fraction

LONGEST = 500
"""Characters of an equation; longer ones are compared as text."""
DEEPEST = 40
"""Nested parentheses and signs."""
START = re.compile(r"[-+*/().,\d\s×÷−$]+")
ALLOWED = re.compile(r"[-+*/().\d ]+")
LAST = re.compile(r"(?<![\w.])((?:[($]\s?|-(?=[\d.])){0,10}\d[-+*/().,\d ×÷−$]{0,200})=")
PART = re.compile(r"[-+*/×÷−][ ]{0,5}\Z")
"""Before a match: it is the tail of something else ("x + 3 * 2 = ...")."""


def tidy(text: str) -> str:
    """ASCII operators, no currency, no thousands commas, no leading zeros, single spaces."""
    text = text.replace("×", "*").replace("÷", "/").replace("−", "-").replace("$", "")
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", " ".join(text.split()))
    return re.sub(r"(?<![\d.])0+(?=\d)", "", text).strip()


def value(text: str) -> Fraction | None:
    """The exact value of an expression of + - * / numbers and parentheses; None for anything else, and for x / 0."""
    if len(text) > LONGEST:
        return None
    source = tidy(text)
    if not ALLOWED.fullmatch(source) or "**" in source or "//" in source or _depth(source) > DEEPEST:
        return None
    try:
        return _walk(ast.parse(source, mode="eval").body, source)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def read(clause: str, choices: tuple[str, ...] = ()) -> str | None:
    """The longest start of a clause that is an equation: "(84 / 2)." gives "(84 / 2)"."""
    match = START.match(clause[: LONGEST + 1])
    if match is None:
        return None
    found = match[0].strip()
    goes_on = clause[match.end() : match.end() + 1].isalpha() and found[-1:] in set("-+*/(")
    while found:
        if value(found) is not None:
            return None if goes_on else found.rstrip(". ")
        if goes_on:
            return None
        found = found[:-1].rstrip()
    return None


def last(text: str) -> tuple[int, str] | None:
    """The left side of the last "16 - 8 = 8" of a text, with its offset."""
    found = None
    for match in LAST.finditer(text):
        side = match[1].strip()
        if PART.search(text[max(0, match.start() - 6) : match.start()]):
            continue
        if re.search(r"\d\s*[-+*/×÷−]", side) and value(side) is not None:
            found = (match.start(), side)
    return found


def equal(a: str, b: str) -> bool:
    """Equal values; what has no value is equal where it is the same text."""
    left, right = value(a), value(b)
    if left is None or right is None:
        return left is right and "".join(tidy(a).split()) == "".join(tidy(b).split())
    return left == right


def _depth(source: str) -> int:
    depth = deepest = signs = 0
    for c in source:
        depth += (c == "(") - (c == ")")
        signs = signs + 1 if c in "+-" else (signs if c == " " else 0)
        deepest = max(deepest, depth + signs)
    return deepest


def _walk(node: ast.expr, source: str) -> Fraction:
    match node:
        case ast.BinOp(left, ast.Add(), right):
            return _walk(left, source) + _walk(right, source)
        case ast.BinOp(left, ast.Sub(), right):
            return _walk(left, source) - _walk(right, source)
        case ast.BinOp(left, ast.Mult(), right):
            return _walk(left, source) * _walk(right, source)
        case ast.BinOp(left, ast.Div(), right):
            return _walk(left, source) / _walk(right, source)
        case ast.UnaryOp(ast.USub(), operand):
            return -_walk(operand, source)
        case ast.UnaryOp(ast.UAdd(), operand):
            return _walk(operand, source)
        case ast.Constant():
            return Fraction(source[node.col_offset : node.end_col_offset])  # exact, where a float would round
    raise ValueError(f"not arithmetic: {type(node).__name__}")
