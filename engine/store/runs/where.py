"""The language in which runs are filtered, compiled to SQL: `method=qcrd acc>0.6 teacher~gpt tag:paper star age<3d`.

Terms, all of which must hold: `KEY OP VALUE` (= != ~ < <= > >=; `:` is =; ~ is "contains"), a flag (star, archived), or
words to look for anywhere. Quotation marks keep blanks and signs together. Values reach SQLite as parameters alone.
Letters compare without case (ASCII's). `!=` is true wherever `=` is not; what is not known is neither less nor greater.
"""

import re
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from engine.errors import UsageError
from engine.store.runs.fields import FIELDS, SHORT, STATES, Field, Where, find_field, nearest
from engine.text import clean, one_line

TERM = re.compile(
    r"""(?P<key>[A-Za-z_][\w-]*(?:\.[\w-]+)*)\s*(?P<op>!=|<=|>=|[=<>~:])\s*(?P<value>"(?:[^"\\]|\\.)*"|[^\s"]\S*)?"""
    r"""|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"]\S*)""",
    re.ASCII | re.DOTALL,
)
NUMBER = re.compile(r"\$?([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)(%?)", re.ASCII | re.IGNORECASE)
DURATION = re.compile(r"(\d+\.?\d*|\.\d+)\s*(s|min|m|h|d|w)?", re.ASCII | re.IGNORECASE)
UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
ANYWHERE = "s.name || char(10) || s.method || char(10) || s.dataset || char(10) || s.teacher || char(10) || s.student"
ANYWHERE += " || char(10) || s.note || char(10) || s.tags || char(10) || coalesce(s.error, '')"
LONGEST = 1000
"""Characters of a filter."""


@dataclass(frozen=True, slots=True)
class Term:
    """One condition as it was written."""

    text: str
    key: str
    """"" for words to be found anywhere."""
    op: str
    value: str


def parse(text: str) -> tuple[Term, ...]:
    """The terms of a filter. Raises UsageError that says which of them is at fault."""
    text = clean(text)
    if len(text) > LONGEST:
        raise UsageError(f"the filter is {len(text)} characters long: at most {LONGEST}")
    terms, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        found = TERM.match(text, at)
        if found is None:  # only a quotation mark begins nothing
            raise UsageError(f"filter: the quotation mark at character {at + 1} has no second one")
        at = found.end()
        shown = one_line(found[0], 60)
        if found["key"] is not None:
            if found["value"] is None and text.startswith('"', at):
                raise UsageError(f"filter: the quotation mark at character {at + 1} has no second one")
            if found["value"] is None:
                raise UsageError(f"filter: {shown} wants a value, e.g. {found['key']}=VALUE")
            terms.append(Term(shown, found["key"], found["op"].replace(":", "="), _unquote(found["value"])))
        elif found["quoted"] is not None:
            terms.append(Term(shown, "", "~", _unquote(found[0])))
        else:
            word = found["word"]
            if word[0] in "=<>~!:":
                raise UsageError(f"filter: {shown} has no key before it, e.g. acc>0.6")
            flag = SHORT.get(word.lower(), word.lower())
            is_flag = flag in FIELDS and FIELDS[flag].kind == "flag"
            terms.append(Term(shown, flag, "=", "yes") if is_flag else Term(shown, "", "~", word))
    return tuple(terms)


def compile_where(con: sqlite3.Connection, text: str) -> Where:
    """The filter as SQL. Raises UsageError: one line: which term, what is wrong, what was probably meant."""
    conditions: list[str] = []
    parameters: dict[str, str | float] = {}
    ages = archived = False
    for number, term in enumerate(parse(text)):
        name = f"p{number}"
        if not term.key:
            conditions.append(f"instr(lower({ANYWHERE}), lower(:{name})) > 0")
            parameters[name] = term.value
            continue
        try:
            field = find_field(con, term.key)
            sql, value = _condition(field, term.op, term.value, name)
        except UsageError as error:
            raise UsageError(f"filter: {term.text}: {error}") from None
        conditions.append(sql)
        parameters |= value
        ages = ages or field.name in ("age", "state")
        archived = archived or field.name == "archived"
    return Where(" AND ".join(f"({c})" for c in conditions) or "1", parameters, ages, archived)


def quoted(value: str) -> str:
    """A value as it is written in a filter."""
    if value and not re.search(r'[\s"\\]', value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _condition(field: Field, op: str, value: str, name: str) -> tuple[str, dict[str, str | float]]:
    """The condition, and what its parameters are."""
    parameter = f":{name}"
    if field.kind == "flag":
        return _equal(field, op, f"{field.sql} = {parameter}"), {name: _flag(value)}
    if field.kind == "tag":
        match = f"tag = {parameter} COLLATE NOCASE" if op != "~" else f"instr(lower(tag), lower({parameter})) > 0"
        sql = f"EXISTS (SELECT 1 FROM run_tags WHERE run_id = r.id AND {match})"
        return sql if op == "~" else _equal(field, op, sql), {name: value}
    if field.kind in ("text", "state"):
        if field.kind == "state" and op in ("=", "!=") and value.lower() not in STATES:
            near = nearest(value, STATES)
            raise UsageError(f"did you mean {near}?" if near else f"a state is one of {', '.join(STATES)}")
        return _text(field, op, f"coalesce({field.sql}, '')", parameter), {name: value}
    if field.kind == "setting":
        return _setting(field, op, value, name)
    if op == "~":
        raise UsageError(f"~ looks into texts, and {field.name} is none: use = or <")
    number = {"number": _number, "duration": _duration, "time": _time}[field.kind](field, value)
    compared = f"{field.sql} {op} {parameter}" if op != "!=" else f"NOT coalesce({field.sql} = {parameter}, 0)"
    return f"coalesce({compared}, 0)", {name: number}


def _text(field: Field, op: str, sql: str, parameter: str) -> str:
    if op == "~":
        return f"instr(lower({sql}), lower({parameter})) > 0"
    return _equal(field, op, f"{sql} = {parameter} COLLATE NOCASE")


def _equal(field: Field, op: str, sql: str) -> str:
    if op not in ("=", "!="):
        raise UsageError(f"{field.name} is no number: use =, !={' or ~' if field.kind != 'flag' else ''}")
    return sql if op == "=" else f"NOT ({sql})"


def _setting(field: Field, op: str, value: str, name: str) -> tuple[str, dict[str, str | float]]:
    """A setting is a number, a text or a switch, as the run's method has it; unset is the empty text."""
    kind = f"json_type(r.spec, '{field.path}')"
    is_number = f"coalesce({kind}, '') IN ('integer', 'real')"
    switch = "WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'"
    text = f"CASE {kind} {switch} ELSE coalesce(CAST({field.sql} AS TEXT), '') END"
    found = NUMBER.fullmatch(value)
    if op in ("=", "!=", "~"):
        sql = _text(field, op, text, f":{name}")
        if op == "~" or found is None:
            return sql, {name: value}
        same = f"CASE WHEN {is_number} THEN {field.sql} = :{name}n ELSE ({_text(field, '=', text, f':{name}')}) END"
        return same if op == "=" else f"NOT ({same})", {name: value, f"{name}n": _number(field, value)}
    return f"CASE WHEN {is_number} THEN {field.sql} {op} :{name} ELSE 0 END", {name: _number(field, value)}


def _flag(value: str) -> float:
    if value.lower() in ("yes", "true", "1", "on"):
        return 1
    if value.lower() in ("no", "false", "0", "off"):
        return 0
    raise UsageError("say yes or no")


def _number(field: Field, value: str) -> float:
    text = value[1:] if field.name == "group_id" and value[:1] in "gG" else value
    found = NUMBER.fullmatch(text)
    if found is None:
        raise UsageError(f"{field.name} is compared with a number, e.g. {field.name}>0.6")
    return float(found[1]) / (100 if found[2] else 1)


def _duration(field: Field, value: str) -> float:
    found = DURATION.fullmatch(value)
    if found is None:
        raise UsageError(f"{field.name} is compared with a time such as 45s, 10min, 2h, 3d or 1w")
    return float(found[1]) * UNITS[(found[2] or "s").lower()]


def _time(field: Field, value: str) -> float:
    if NUMBER.fullmatch(value):
        return _number(field, value)
    try:
        at = datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(f"{field.name} is compared with a date such as 2026-11-30 or 2026-11-30T18:00 (UTC)") from None


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text
