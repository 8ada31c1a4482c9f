"""The built-in teachers as a LiteLLM provider: "builtin/arithmetic" takes the same path as any other model."""

from typing import Any

from engine.data.arithmetic import parse
from engine.teacher.builtin import ERRS, answer


def register_builtin() -> None:
    """Makes LiteLLM know the provider "builtin". Imports litellm."""
    import litellm
    from litellm.llms.custom_llm import CustomLLM, CustomLLMError
    from litellm.types.utils import Choices, Message, ModelResponse

    class Builtin(CustomLLM):
        """Completion number j of a request with seed s is `answer(question, s + j)`; at temperature 0 all are alike."""

        def completion(self, *_: Any, **request: Any) -> Any:
            if request["model"] not in ERRS:
                known = " and ".join(f"builtin/{name}" for name in ERRS)
                message = f"builtin/{request['model']}: the built-in teachers are {known}"
                raise CustomLLMError(404, message)  # type: ignore[no-untyped-call]
            options = request["optional_params"]
            seed = options.get("seed") or 0
            spread = 0 if options.get("temperature") == 0 else 1
            question = question_in(request["messages"])
            errs = ERRS[request["model"]]
            texts = [answer(question, seed * spread + j * spread, errs) for j in range(options.get("n") or 1)]
            return ModelResponse(
                choices=[
                    Choices(index=j, message=Message(content=text), finish_reason="stop")
                    for j, text in enumerate(texts)
                ]
            )

        async def acompletion(self, *_: Any, **request: Any) -> Any:
            return self.completion(**request)

    others = [p for p in litellm.custom_provider_map if p["provider"] != "builtin"]
    litellm.custom_provider_map = [*others, {"provider": "builtin", "custom_handler": Builtin()}]


def question_in(messages: list[dict[str, str]]) -> str:
    """The question that the last message asks: the first of its lines that is one, else the whole text."""
    text = messages[-1]["content"] if messages else ""
    for line in text.splitlines():
        candidate = line.split(": ", 1)[-1].strip()
        if parse(candidate) is not None:
            return candidate
    return text
