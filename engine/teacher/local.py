""" "local/FOLDER" as a LiteLLM provider: a transformers model in this process, requests gathered into batches.

The model is loaded with the first request and let go with the last: what trains afterwards needs the memory.
"""

import asyncio
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import UsageError

if TYPE_CHECKING:
    from engine.teacher.local_model import LocalModel, Row, Settings, Written

MODEL_FILES = (".json", ".safetensors", ".bin", ".model", ".jinja")
MEGABYTE = 1 << 20
GATHER = 0.005
"""Seconds that a request waits for others to be written with."""


@dataclass(slots=True)
class _Waiting:
    """One request's rows, and where its texts are wanted."""

    rows: "list[Row]"
    settings: "Settings"
    texts: "asyncio.Future[list[Written]]"


@dataclass(slots=True)
class _Desk:
    """One model and the thread that it works in."""

    folder: str
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "qcrd-local-teacher"))
    model: "LocalModel | None" = None
    waiting: list[_Waiting] = field(default_factory=list)
    work: "asyncio.Task[None] | None" = None

    async def loaded(self) -> "LocalModel":
        """The model, in memory. Raises OSError and ValueError where it cannot be loaded."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, self._load)

    async def ask(self, rows: "list[Row]", settings: "Settings") -> "list[Written]":
        """The rows' texts, written together with what others ask meanwhile."""
        mine = _Waiting(rows, settings, asyncio.get_running_loop().create_future())
        self.waiting.append(mine)
        if self.work is None or self.work.done():
            self.work = asyncio.create_task(self._write())
        return await mine.texts

    def _load(self) -> "LocalModel":
        if self.model is None:
            from engine.teacher.local_model import LocalModel

            self.model = LocalModel(Path(self.folder))
        return self.model

    async def _write(self) -> None:
        model = await self.loaded()
        while self.waiting:
            await asyncio.sleep(GATHER)
            settings = self.waiting[0].settings
            batch = [w for w in self.waiting if w.settings == settings]
            self.waiting = [w for w in self.waiting if w.settings != settings]
            rows = [row for w in batch for row in w.rows]
            try:
                texts = await asyncio.get_running_loop().run_in_executor(self.thread, model.write, rows, settings)
            except Exception as error:  # noqa: BLE001 - whatever it is, each of the requests has failed by it
                for w in batch:
                    if not w.texts.done():
                        w.texts.set_exception(error)
                continue
            for w in batch:
                mine, texts = texts[: len(w.rows)], texts[len(w.rows) :]
                if not w.texts.done():
                    w.texts.set_result(mine)


_desks: dict[str, _Desk] = {}


def check_folder(model: str) -> None:
    """UsageError where "local/FOLDER" names no folder with a model and a tokeniser."""
    folder = Path(model.removeprefix("local/"))
    if not (folder / "config.json").is_file():
        raise UsageError(
            f"teacher.model: {folder} holds no model (no config.json); local/FOLDER wants a folder that transformers "
            "can load"
        )
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json", "spiece.model")):
        raise UsageError(f"teacher.model: {folder} holds no tokeniser; save the model's own beside it")


@cache
def fingerprint(model: str) -> str:
    """Tells the model of a "local/FOLDER" from others, wherever the folder lies: over its files' names and sizes, and
    the first and last megabyte of each."""
    digest = hashlib.sha256()
    folder = Path(model.removeprefix("local/"))
    for path in sorted(p for p in folder.glob("*") if p.suffix in MODEL_FILES):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(MEGABYTE))
            file.seek(max(0, size - MEGABYTE))
            digest.update(file.read())
    return digest.hexdigest()


def let_go() -> None:
    """Frees the models' memory."""
    for desk in _desks.values():
        desk.thread.shutdown()
    had_one = any(desk.model is not None for desk in _desks.values())
    _desks.clear()
    if had_one:
        import gc

        import torch

        gc.collect()
        torch.cuda.empty_cache()


def register_local() -> None:
    """Makes LiteLLM know the provider "local". Imports litellm."""
    import litellm
    from litellm.exceptions import ContextWindowExceededError
    from litellm.llms.custom_llm import CustomLLM, CustomLLMError
    from litellm.types.utils import Choices, Message, ModelResponse, Usage

    class Local(CustomLLM):
        """Completion j of a request with seed s is drawn by the messages and s + j."""

        async def acompletion(self, *_: Any, **request: Any) -> Any:
            options, messages = request["optional_params"], request["messages"]
            desk = _desks.setdefault(request["model"], _Desk(request["model"]))
            try:
                model = await desk.loaded()
            except (OSError, ValueError, KeyError) as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                message = f"{desk.folder} could not be loaded: {reason}"
                raise CustomLLMError(404, message) from None  # type: ignore[no-untyped-call]
            from engine.teacher.local_model import Row, Settings

            prompt = model.prompt(messages)
            most = options.get("max_tokens") or 512
            if model.longest is not None and len(prompt) + most > model.longest:
                raise ContextWindowExceededError(
                    f"the prompt has {len(prompt)} tokens and the answer may have {most}, but the model reads "
                    f"{model.longest} at most",
                    request["model"],
                    "local",
                )
            settings = Settings(options.get("temperature", 1.0), options.get("top_p") or 1.0, most)
            asked = hashlib.sha256(json.dumps(messages).encode()).hexdigest()
            first = options.get("seed") or 0
            rows = [Row(prompt, f"{asked} {first + j}") for j in range(options.get("n") or 1)]
            try:
                texts = await desk.ask(rows, settings)
            except RuntimeError as error:  # torch's; asking again would end alike
                raise CustomLLMError(400, f"{desk.folder} failed: {error}") from None  # type: ignore[no-untyped-call]
            written = sum(t.tokens for t in texts)
            return ModelResponse(
                choices=[
                    Choices(index=j, message=Message(content=t.text), finish_reason="stop" if t.ended else "length")
                    for j, t in enumerate(texts)
                ],
                usage=Usage(prompt_tokens=len(prompt), completion_tokens=written, total_tokens=len(prompt) + written),
            )

    others = [p for p in litellm.custom_provider_map if p["provider"] != "local"]
    litellm.custom_provider_map = [*others, {"provider": "local", "custom_handler": Local()}]
