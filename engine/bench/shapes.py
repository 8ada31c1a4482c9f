"""Students with random weights in the shapes of known ones, and batches to measure them on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from engine.randomness import generator
from engine.records import Example, Polarity, Rationale
from engine.students import tiny
from engine.students.causal import CausalStudent
from engine.students.seam import Tokens
from engine.students.t5 import T5Student
from engine.training.batches import Candidate, Item
from engine.training.step import Row

BenchStudent = T5Student | CausalStudent
WORDS = 300
LABEL = 2
"""Words of a label."""
PROMPTS, PROBED = 64, 48
"""Prompts that are looked at, and tokens written to each, to set where texts end."""
FAINT, NEVER = 0.1, 50.0
"""Spread of the logits of words, and how far below them what is no word lies, where texts are to end somewhere."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's sizes, and the words of its questions and rationales (a token each), from half to once and a half."""

    vocabulary: int
    width: int
    head_width: int
    feed_forward: int
    layers: int
    """Of a T5: on either side."""
    heads: int
    question: int
    rationale: int
    key_heads: int = 0
    """Heads of keys and values of a causal model; 0: a T5."""


SHAPES = {
    "tiny": Shape(400, 64, 16, 256, 2, 4, question=27, rationale=24),
    "t5-small": Shape(32128, 512, 64, 2048, 6, 8, question=64, rationale=64),
    "t5-base": Shape(32128, 768, 64, 3072, 12, 12, question=64, rationale=64),
    "llama-tiny": Shape(400, 64, 16, 192, 4, 4, question=27, rationale=24, key_heads=4),
    "llama-small": Shape(32128, 512, 64, 1376, 14, 8, question=64, rationale=64, key_heads=8),
    "causal-0.5b": Shape(151936, 896, 64, 4864, 24, 14, question=64, rationale=64, key_heads=2),
}
"""llama-small has about the parameters of t5-small; causal-0.5b is Qwen2.5-0.5B's shape, but for a head of its own."""


def student(name: str, device: torch.device, seed: int) -> BenchStudent:
    """A student of a shape; the head has weights of its own, so that `ending_after` can be set."""
    tokenizer = tiny.build_tokenizer([" ".join(f"w{i}" for i in range(WORDS)), "predict: explain:"])
    torch.manual_seed(seed)
    causal = SHAPES[name].key_heads > 0
    model = _causal(SHAPES[name], tokenizer) if causal else _t5(SHAPES[name], tokenizer)
    if name in ("tiny", "llama-tiny"):
        model.set_attn_implementation("eager")  # as the built-in students
    kind = CausalStudent if causal else T5Student
    return kind(model, tokenizer, device=device, bf16=device.type == "cuda", max_prompt=1024, max_target=1024)  # type: ignore[arg-type]


def _t5(shape: Shape, tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    return T5ForConditionalGeneration(
        T5Config(  # type: ignore[call-arg]
            vocab_size=shape.vocabulary,
            d_model=shape.width,
            d_kv=shape.head_width,
            d_ff=shape.feed_forward,
            num_layers=shape.layers,
            num_decoder_layers=shape.layers,
            num_heads=shape.heads,
            dropout_rate=0.0,
            tie_word_embeddings=False,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
    )


def _causal(shape: Shape, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            head_dim=shape.head_width,
            intermediate_size=shape.feed_forward,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.key_heads,
            tie_word_embeddings=False,
            bos_token_id=None,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def rows(of: BenchStudent, name: str, count: int, positives: int, negatives: int, seed: int) -> list[Row]:
    """Questions with so many different candidates each."""
    shape, random = SHAPES[name], generator(seed, "bench")
    number = 0

    def words(mean: int) -> str:
        length = int(torch.randint(mean // 2, mean + mean // 2 + 1, (1,), generator=random))
        return " ".join(f"w{int(i)}" for i in torch.randint(WORDS, (max(length, 1),), generator=random))

    def candidates(example: str, how_many: int, polarity: Polarity) -> tuple[Candidate, ...]:
        nonlocal number
        made = []
        for _ in range(how_many):
            text = words(shape.rationale)
            made.append(
                Candidate(Rationale(number, example, text, None, "", polarity, "teacher"), text, of.target(text))
            )
            number += 1
        return tuple(made)

    found = []
    for i in range(count):
        question = words(shape.question)
        item = Item(
            example=Example(f"q{i}", question, None),
            predict=of.prompt(f"predict: {question}"),
            explain=of.prompt(f"explain: {question}"),
            label=of.target(" ".join(f"w{i % WORDS}" for _ in range(LABEL))),
            answer=None,
            positives=candidates(f"q{i}", positives, "positive"),
            negatives=candidates(f"q{i}", negatives, "negative"),
        )
        found.append(Row(item, item.negatives, judge_all=False))
    return found


@torch.no_grad()
def ending_after(of: BenchStudent, prompts: Sequence[Tokens], tokens: int, temperature: float) -> None:
    """Makes what is written to the prompts words drawn about alike, and an end about as likely at each as a mean length
    of so many tokens asks for.

    A head has no bias: what all words or the end have more than others lies on what the states of such texts share.
    """
    model, head, known = of.model, of.model.lm_head.weight, len(of.tokenizer)
    random = generator(0, "bench", 1)
    written = [torch.randint(known, (PROBED,), generator=random).tolist() for _ in prompts[:PROMPTS]]
    hidden = torch.cat([_states(model, list(p), w) for p, w in zip(prompts, written, strict=False)])
    # states @ shared is about 1; least squares of few columns want this driver
    shared = torch.linalg.lstsq(hidden.cpu(), torch.ones(len(hidden), 1), driver="gelsd").solution[:, 0].to(of.device)
    head *= FAINT / (hidden @ head[:known].T.float()).std()
    head[known:] = -NEVER * shared
    eos = model.config.eos_token_id
    head[eos] = 0
    others = torch.logsumexp(model.lm_head(hidden).float() / temperature, dim=-1).mean()
    head[eos] = temperature * (others - torch.log(torch.tensor(float(max(tokens - 1, 1))))) * shared


def _states(model: Any, prompt: Tokens, target: Tokens) -> torch.Tensor:
    """(target, width) the states that the target's tokens are predicted from."""
    x, y = (torch.tensor([list(tokens)], device=model.device) for tokens in (prompt, target))
    if model.config.is_encoder_decoder:
        read = model.encoder(input_ids=x).last_hidden_state
        hidden = model.decoder(input_ids=y, encoder_hidden_states=read).last_hidden_state[0]
    else:
        hidden = model.base_model(input_ids=torch.cat([x, y], dim=1)).last_hidden_state[0, len(prompt) - 1 : -1]
    return hidden.float()
