"""The discriminator's encoders: a T5 of the student's size, a copy of the student's own, or any of Hugging Face."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer, T5Config, T5EncoderModel

from engine.students import t5_stack
from engine.students.load import T5_KINDS, encoder_config
from engine.students.seam import Student


def encoder(name: str, student: Student) -> tuple[Any, Any]:
    """(model, tokeniser) by `method.discriminator.encoder`; what is made from scratch uses torch's global generator."""
    of: Any = student.model.config
    if name == "student":
        return _copy(student.model), student.tokenizer
    if name == "student-sized":
        shape = deepcopy(of) if of.model_type in T5_KINDS else _t5_like(of)
        model = T5EncoderModel(shape)
        model.set_attn_implementation(of._attn_implementation)
        return model, student.tokenizer
    return pretrained(name)


def pretrained(name: str) -> tuple[Any, Any]:
    """(model, tokeniser) of a hub id or a folder."""
    kind = T5EncoderModel if encoder_config(name).model_type in T5_KINDS else AutoModel
    return kind.from_pretrained(name, dtype=torch.float32), AutoTokenizer.from_pretrained(name)


def read(model: Any, ids: Tensor, real: Tensor, separator: int | None) -> Tensor:
    """(pairs, length) tokens and mask of real ones -> (pairs, length, width).

    `separator`: the token that parts question and rationale, for encoders that number the two.
    """
    if isinstance(model, T5EncoderModel):
        return t5_stack.read(model.encoder, ids, real.long())
    more = {}
    if separator is not None and getattr(model.config, "type_vocab_size", 1) > 1:
        ended = (ids == separator).long()
        more["token_type_ids"] = ((ended.cumsum(dim=1) - ended) > 0).long()
    found: Tensor = model(input_ids=ids, attention_mask=real.long(), **more).last_hidden_state
    return found


def _copy(model: Any) -> Any:
    """A T5's encoder or a causal body, weights as they are; with adapters, a copy that trains its own."""
    if model.config.model_type not in T5_KINDS:
        return deepcopy(model.base_model)
    own = T5EncoderModel(deepcopy(model.config))
    own.encoder = deepcopy(model.encoder)
    own.shared = own.encoder.embed_tokens
    return own


def _t5_like(of: Any) -> T5Config:
    """The width and heads of a causal model and half its layers: an encoder-decoder has them on either side."""
    return T5Config(
        vocab_size=of.vocab_size,
        d_model=of.hidden_size,
        d_kv=of.hidden_size // of.num_attention_heads,
        d_ff=getattr(of, "intermediate_size", None) or 4 * of.hidden_size,
        num_layers=max(1, of.num_hidden_layers // 2),
        num_heads=of.num_attention_heads,
        dropout_rate=float(getattr(of, "attention_dropout", getattr(of, "attn_pdrop", 0.0))),
    )
