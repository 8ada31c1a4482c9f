"""A causal student (Llama, Qwen, GPT-2): a prompt is read once, its keys and values serve all of its targets.

What is read of a prompt is all but its last token; that one and the target are read against it, so that every target
token is predicted alike. Prompts are padded on the right: causality alone keeps their real tokens from looking at pads.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase
from transformers.cache_utils import DynamicLayer

from engine.errors import SpecError
from engine.students import adapters, distil, gemm
from engine.students.scoring import counted, finer, in_buckets, padded, pooled, token_mean
from engine.students.seam import Tokens, cut
from engine.students.text import cut_target, disarmed, remembered
from engine.students.writing import growing, texts, write

KINDS = ("llama", "qwen2", "qwen3", "gpt2")
"""Model types whose masks, positions and caches are as this file takes them to be; tests hold each."""
KeysValues = tuple[Tensor, Tensor]
"""(prompts, heads, length, width) each, of one layer."""


@dataclass(frozen=True, slots=True)
class Read:
    """Prompts and, unless activations are recomputed, the keys and values of all but their last tokens."""

    prompts: Sequence[Tokens]
    pairs: list[KeysValues] | None

    def detach(self) -> "Read":
        """The same, with no gradient into the prompts."""
        return Read(self.prompts, self.pairs and [(keys.detach(), values.detach()) for keys, values in self.pairs])


class CausalStudent:
    """A causal language model with its tokeniser and limits; see `seam.Student`."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        device: torch.device,
        bf16: bool,
        max_prompt: int,
        max_target: int,
        chat: bool = False,
        adapted: Any = None,
    ) -> None:
        """`chat`: prompts in the tokeniser's chat template. `adapted`: PEFT's wrapper, where the model has adapters."""
        if tokenizer.eos_token_id is None:
            raise SpecError("student.model: its tokeniser has no end-of-sequence token, so no target would ever end")
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.model: Any = model.to(device)  # type: ignore[arg-type]
        gemm.hasten(self.model, device, bf16)
        self._finer = finer(device, self.model.config.hidden_size)
        self.tokenizer = tokenizer
        self.device = device
        self.bf16 = bf16
        self.max_prompt = max_prompt
        self.max_target = max_target
        self.kind: Literal["t5", "causal", "chat"] = "chat" if chat else "causal"
        self.adapted = adapted
        self._eos = self.pad = int(tokenizer.eos_token_id)
        self._disarm = disarmed(tokenizer)
        self._plain_tokens = remembered(
            lambda text: tokenizer(self._disarm(text), add_special_tokens=False)["input_ids"]
        )
        self._prompt_tokens = remembered(self._chat_tokens if chat else self._line_tokens)

    def prompt(self, text: str) -> list[int]:
        tokens = self._prompt_tokens(text)
        if len(tokens) <= self.max_prompt or self.kind == "causal":
            return cut(tokens, self.max_prompt)
        return self._cut_chat(text, len(tokens))

    def target(self, text: str, answer: str | None = None) -> list[int]:
        ending = None if answer is None else [*self._plain_tokens(f" {answer}"), self._eos]
        return cut_target([*self._plain_tokens(text), self._eos], ending, self.max_target)

    def prompt_length(self, text: str) -> int:
        return len(self._prompt_tokens(text))

    def target_length(self, text: str) -> int:
        return len(self._plain_tokens(text)) + 1

    def _line_tokens(self, text: str) -> list[int]:
        """A line of its own, with what the tokeniser puts around a text."""
        return self.tokenizer(self._disarm(text) + "\n")["input_ids"]

    def _chat_tokens(self, text: str) -> list[int]:
        """The user's turn, up to where the model's begins."""
        turns = [{"role": "user", "content": self._disarm(text)}]
        return list(self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False))

    def _cut_chat(self, text: str, length: int) -> list[int]:
        """The question is cut, not the template around it."""
        words = self._plain_tokens(text)
        room = len(words) - (length - self.max_prompt)
        while room > 0:
            tokens = self._chat_tokens(str(self.tokenizer.decode(words[:room])))
            if len(tokens) <= self.max_prompt:
                return tokens
            room -= len(tokens) - self.max_prompt  # decoded and read again, words may have become more tokens
        raise SpecError(
            f"student.max_question_tokens = {self.max_prompt}: the chat template alone takes that much; raise it, "
            "or set student.chat = false"
        )

    def encode(self, prompts: Sequence[Tokens]) -> Read:
        return Read(prompts, None if self._recomputes else self._read(prompts))

    def score(
        self,
        encoded: Read,
        rows: Sequence[int],
        targets: Sequence[Tokens],
        starts: Sequence[int] | None = None,
        unlikely: bool = False,
    ) -> Tensor:
        if not targets:
            return torch.zeros(0, device=self.device)
        pairs = None if self._recomputes else encoded.pairs or self._read(encoded.prompts)

        def bucket(some: list[int]) -> Tensor:
            asked, wanted = [rows[j] for j in some], [targets[j] for j in some]
            if pairs is None:
                both = [(encoded.prompts[i], target) for i, target in zip(asked, wanted, strict=True)]
                hidden, labels, real = self._states_whole(both)
            else:
                hidden, labels, real = self._states(pairs, encoded.prompts, asked, wanted)
            real = counted(real, starts, some)
            with self._autocast():
                return token_mean(hidden, labels, real, self._logits, self.model.config.vocab_size, unlikely)

        return in_buckets(targets, bucket, self._finer)

    def pooled(self, encoded: Read, rows: Sequence[int], targets: Sequence[Tokens], pads: bool) -> Tensor:
        if self._recomputes:
            hidden, _, real = self._states_whole([(encoded.prompts[i], t) for i, t in zip(rows, targets, strict=True)])
        else:
            pairs = encoded.pairs or self._read(encoded.prompts)
            hidden, _, real = self._states(pairs, encoded.prompts, rows, targets)
        with self._autocast():
            return pooled(hidden, torch.ones_like(real) if pads else real, self._logits, self.model.config.vocab_size)

    def taught(
        self, prompts: Sequence[Tokens], rows: Sequence[int], targets: Sequence[Tokens], released: bool
    ) -> Tensor:
        if released:  # prompt and target are one: all but the first token is to be predicted
            targets = [[*prompts[i][1:], *target] for i, target in zip(rows, targets, strict=True)]
            rows, prompts = range(len(targets)), [prompts[i][:1] for i in rows]
        words = self.model.config.vocab_size
        with self._autocast():
            return distil.taught(self, self.adapted, prompts, rows, targets, self._logits, words, pads=released)

    def states(self, prompts: Sequence[Tokens], rows: Sequence[int], targets: Sequence[Tokens]) -> distil.States:
        """As `distil.Adapted`: prompts are read once in each mode, since a cache is of one; a prompt of one token, of
        which nothing is read before, goes with its target."""
        if self._recomputes or all(len(prompt) == 1 for prompt in prompts):
            both = [(prompts[i], target) for i, target in zip(rows, targets, strict=True)]
            return lambda some: self._states_whole([both[j] for j in some])
        pairs = self._read(prompts)
        return lambda some: self._states(pairs, prompts, [rows[j] for j in some], [targets[j] for j in some])

    @property
    def _recomputes(self) -> bool:
        """transformers' activation checkpointing drops caches: then each target is read with its whole prompt."""
        return bool(self.model.training and self.model.is_activation_checkpointing)

    def _read(self, prompts: Sequence[Tokens]) -> list[KeysValues]:
        ids, _ = padded([prompt[:-1] for prompt in prompts], self._eos, self.device)
        cache = DynamicCache()
        with self._autocast():
            self._body(input_ids=ids, past_key_values=cache, use_cache=True)
        layers: list[Any] = cache.layers
        return [(layer.keys, layer.values) for layer in layers]

    def _states(
        self, pairs: Sequence[KeysValues], prompts: Sequence[Tokens], rows: Sequence[int], targets: Sequence[Tokens]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the targets' tokens are predicted from, the tokens, and which of them are real.

        Each target is read, after its prompt's last token, against the expanded cache of its prompt.
        """
        labels, real = padded(targets, self._eos, self.device)
        last = torch.tensor([prompts[i][-1] for i in rows], device=self.device)
        index = torch.tensor(rows, device=self.device)
        before = torch.tensor([len(prompts[i]) - 1 for i in rows], device=self.device)
        longest = max(1, int(before.max()))
        count, length = labels.shape
        seen = torch.arange(longest, device=self.device) < before[:, None]
        past = torch.ones(length, length, dtype=torch.bool, device=self.device).tril()
        mask = torch.cat([seen[:, None].expand(count, length, longest), past.expand(count, length, length)], dim=2)
        # pads keep their target's last position: a GPT-2 has only so many
        steps = torch.arange(length, device=self.device).minimum(real.sum(dim=1, keepdim=True) - 1)
        with self._autocast():
            hidden = self._body(
                input_ids=torch.cat([last[:, None], labels[:, :-1]], dim=1),
                attention_mask=self._mask(mask),
                position_ids=before[:, None] + steps,
                past_key_values=_cache([_Grown(k[:, :, :longest][index], v[:, :, :longest][index]) for k, v in pairs]),
                use_cache=True,
            ).last_hidden_state
        return hidden, labels, real

    def _states_whole(self, both: Sequence[tuple[Tokens, Tokens]]) -> tuple[Tensor, Tensor, Tensor]:
        """As `_states`, of (prompt, target) read as one sequence."""
        ids, _ = padded([[*prompt, *target[:-1]] for prompt, target in both], self._eos, self.device)
        labels, real = padded([target for _, target in both], self._eos, self.device)
        first = torch.tensor([len(prompt) - 1 for prompt, _ in both], device=self.device)
        place = (first[:, None] + torch.arange(labels.shape[1], device=self.device)).clamp(max=ids.shape[1] - 1)
        with self._autocast():
            hidden = self._body(input_ids=ids, use_cache=False).last_hidden_state
        return hidden[torch.arange(len(both), device=self.device)[:, None], place], labels, real

    def generate(self, prompts: Sequence[Tokens], max_new: int, temperature: float, draws: Tensor | None) -> list[str]:
        return texts(self, prompts, lambda distinct, rows: self._generate(distinct, rows, max_new, temperature, draws))

    def _generate(
        self, prompts: Sequence[Tokens], rows: Tensor, max_new: int, temperature: float, draws: Tensor | None
    ) -> list[list[int]]:
        writing, token = self._writing(prompts, rows, max_new)
        with self._autocast():
            return write(writing, token, self._logits, self._eos, max_new, temperature, draws)

    def stream(self, prompt: Tokens, max_new: int) -> Iterator[str]:
        return growing(self, lambda: self._begin(prompt, max_new), self._eos, max_new)

    def _begin(self, prompt: Tokens, max_new: int) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        writing, token = self._writing([prompt], torch.zeros(1, dtype=torch.long, device=self.device), max_new)

        def step(last: Tensor) -> Tensor:
            with self._autocast():
                return self._logits(writing.step(last))

        return step, token

    def _writing(self, prompts: Sequence[Tokens], rows: Tensor, max_new: int) -> tuple["Writing", Tensor]:
        """Row j is to go on from prompts[rows[j]]; and that one's last token."""
        pairs = self._read(prompts)
        before = torch.tensor([len(p) - 1 for p in prompts], device=self.device)[rows]
        token = torch.tensor([p[-1] for p in prompts], device=self.device)[rows]
        with self._autocast():
            return Writing(self, pairs, rows, before, max_new), token

    def parameter_groups(self, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        trained = [p for p in self.model.parameters() if p.requires_grad]
        return [{"params": trained, "lr": lr, "weight_decay": weight_decay}]

    def save(self, folder: Path) -> None:
        self.model.generation_config.eos_token_id = self._eos  # what targets ended in is what ends an answer
        adapters.save(self.model, self.adapted, folder)
        self.tokenizer.save_pretrained(folder)

    @property
    def _body(self) -> Any:
        return self.model.base_model

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.model.get_output_embeddings()(hidden)
        return logits.float() if self.bf16 else logits

    def _mask(self, seen: Tensor) -> Tensor:
        """(rows, queries, keys) True where looked at -> the form that the model's attention takes."""
        if self.model.config._attn_implementation == "sdpa":
            return seen[:, None]
        dtype = self.model.dtype
        return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, torch.finfo(dtype).min)[
            :, None
        ]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)


class Writing:
    """The model a token at a time: caches of fixed size, and rows that leave when they are finished."""

    def __init__(
        self, student: CausalStudent, pairs: Sequence[KeysValues], rows: Tensor, before: Tensor, longest: int
    ) -> None:
        """Row j writes at most `longest` tokens after the before[j] first tokens of prompt rows[j] of `pairs`."""
        self._student = student
        self._before = before
        self._prompt = pairs[0][0].shape[2]
        self._at = 0
        self._layers = [_Sized(keys[rows], values[rows], longest) for keys, values in pairs]
        self._seen = self._see()

    def _see(self) -> Tensor | None:
        """(rows, prompt + longest): what is looked at once written; None where no prompt has pads."""
        if bool((self._before == self._prompt).all()):
            return None
        place = torch.arange(self._layers[0].size, device=self._before.device)
        return (place < self._before[:, None]) | (place >= self._prompt)

    def step(self, token: Tensor) -> Tensor:
        """(rows,) the tokens written last -> (rows, width) the state that the next ones are drawn from."""
        at, self._at = self._at, self._at + 1
        mask = None
        if self._seen is not None:
            mask = self._student._mask(self._seen[:, None, : self._prompt + at + 1])
        found: Tensor = self._student._body(
            input_ids=token[:, None],
            attention_mask=mask,
            position_ids=(self._before + at)[:, None],
            past_key_values=_cache(self._layers),
            use_cache=True,
        ).last_hidden_state
        return found[:, 0]

    def keep(self, rows: Tensor) -> None:
        """Goes on with those rows (indices) alone."""
        self._before = self._before[rows]
        for layer in self._layers:
            layer.keep(rows)
        self._seen = self._see()


class _Grown(DynamicLayer):
    """A layer's cache that begins with keys and values read before."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True


class _Sized(DynamicLayer):
    """The same with room for what will be written: no copy of all of it at every token."""

    keys: Tensor
    values: Tensor

    def __init__(self, keys: Tensor, values: Tensor, longest: int) -> None:
        super().__init__()
        self.filled = keys.shape[2]
        self.size = self.filled + longest
        self.keys, self.values = self._room(keys), self._room(values)
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True

    def _room(self, filled: Tensor) -> Tensor:
        found = filled.new_empty(*filled.shape[:2], self.size, filled.shape[3])
        found[:, :, : self.filled] = filled[:, :, : self.filled]
        return found

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Written in place; what is filled is looked at."""
        start, self.filled = self.filled, self.filled + key_states.shape[2]
        self.keys[:, :, start : self.filled] = key_states
        self.values[:, :, start : self.filled] = value_states
        return self.keys[:, :, : self.filled], self.values[:, :, : self.filled]

    def get_seq_length(self) -> int:
        """Tokens read or written."""
        return self.filled

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Keys there will be, and where they begin."""
        return self.filled + query_length, 0

    def keep(self, rows: Tensor) -> None:
        """Those rows alone."""
        self.keys, self.values = self._room(self.keys[rows]), self._room(self.values[rows])


def _cache(layers: Sequence[DynamicLayer]) -> DynamicCache:
    cache = DynamicCache()
    cache.layers = list(layers)
    cache.layer_class_to_replicate = None
    return cache
