"""Tiny causal students of each kind on the words of tiny_t5, for tests of everything that stands on one."""

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from engine.students import tiny
from engine.students.causal import CausalStudent
from tests.engine.tiny_t5 import WORDS

SHAPE = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.25,
}
KINDS = {
    "llama": lambda n: LlamaForCausalLM(LlamaConfig(vocab_size=n, **SHAPE)),
    "qwen2": lambda n: Qwen2ForCausalLM(Qwen2Config(vocab_size=n, **SHAPE)),
    "qwen3": lambda n: Qwen3ForCausalLM(Qwen3Config(vocab_size=n, head_dim=8, **SHAPE)),
    "gpt2": lambda n: GPT2LMHeadModel(
        GPT2Config(
            vocab_size=n,
            n_embd=24,
            n_layer=2,
            n_head=4,
            n_positions=128,
            initializer_range=0.25,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    ),
}


def student(kind: str = "llama", seed: int = 0, attention: str = "sdpa") -> CausalStudent:
    tokenizer = tiny.build_tokenizer(["predict: explain: " + " ".join(WORDS)])
    torch.manual_seed(seed)
    model = KINDS[kind](len(tokenizer))
    model.set_attn_implementation(attention)
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return CausalStudent(model, tokenizer, device=torch.device("cpu"), bf16=False, max_prompt=64, max_target=64)
