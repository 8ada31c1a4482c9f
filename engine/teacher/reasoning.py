"""Hidden reasoning apart from the answer: what a provider names so, and the <think> blocks of local models."""

import re
from typing import Any

OPENED = re.compile(r"\s*<(think|thinking)>(.*?)(?:</\1>|\Z)", re.DOTALL)
END = re.compile(r"</(?:think|thinking)>")


def apart(text: str) -> tuple[str | None, str]:
    """(reasoning, answer) of a text that may begin with a think block.

    A block that never ends is all reasoning: the tokens ran out. One without a beginning has it in the prompt, as some
    chat templates do. Without a block the text is the answer, as it is.
    """
    if found := OPENED.match(text):
        return found[2].strip() or None, text[found.end() :].lstrip()
    if (end := END.search(text)) and "<think" not in text[: end.start()]:
        return text[: end.start()].strip() or None, text[end.end() :].lstrip()
    return None, text


def of_message(message: Any) -> tuple[str | None, str]:
    """(reasoning, answer) of a LiteLLM message: its reasoning_content or thinking blocks, else the text's own block."""
    text = message.content or ""
    named = getattr(message, "reasoning_content", None)
    if not named:
        blocks = getattr(message, "thinking_blocks", None) or []
        named = "\n".join(b["thinking"] for b in blocks if isinstance(b, dict) and b.get("thinking"))
    return (named.strip(), text.lstrip()) if named else apart(text)  # white space that stood between the two
