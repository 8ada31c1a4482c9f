"""T5's two stacks over transformers' own modules, with what layers and candidates share made once.

transformers adds mask and position bias in every layer, gives cross-attention a bias of zeros, and projects a prompt's
keys and values for each of its targets. Here bias and mask are one tensor a stack, and keys and values one a prompt.
Every weight is used through its module, so that adapters (LoRA) and quantised layers work as they do there.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import dropout, scaled_dot_product_attention, softmax
from torch.utils.checkpoint import checkpoint

from engine.students.compiled import compiled

KeysValues = tuple[Tensor, Tensor]
"""(rows, heads, length, width) each."""


def read(stack: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """The encoder: (rows, length) tokens and mask of real ones -> (rows, length, width)."""
    hidden = stack.dropout(stack.embed_tokens(ids))
    bias = _position_bias(stack, ids.shape[1])
    padding = _padding(mask, hidden.dtype)
    bias = bias if padding is None else bias + padding
    for block in stack.block:
        hidden = _block(stack, _encoder_block, block, hidden, bias)
    return _end(stack, hidden)


def keys_values(stack: Any, encoded: Tensor) -> list[KeysValues]:
    """What each decoder layer's cross-attention looks at: (prompts, length, width) -> a pair a layer."""
    attentions = [block.layer[1].EncDecAttention for block in stack.block]
    # contiguous: matmul would copy them at every token that is written
    return [(_heads(a, a.k(encoded)).contiguous(), _heads(a, a.v(encoded)).contiguous()) for a in attentions]


def score(stack: Any, ids: Tensor, cross: Sequence[KeysValues], mask: Tensor, rows: Tensor) -> Tensor:
    """The decoder over whole targets: (targets, length) tokens -> (targets, length, width).

    Target j looks at prompt rows[j] of `cross` and `mask`. Pads after a target are never looked at by its tokens.
    """
    hidden = stack.dropout(stack.embed_tokens(ids))
    length = ids.shape[1]
    future = torch.full((length, length), -torch.inf, device=ids.device).triu(1)
    bias = _position_bias(stack, length) + future
    padding = _padding(mask[rows], hidden.dtype)
    for block, (keys, values) in zip(stack.block, cross, strict=True):
        hidden = _block(stack, _decoder_block, block, hidden, bias, keys, values, padding, rows)
    return _end(stack, hidden)


class Writing:
    """The decoder a token at a time: caches of fixed size, and rows that leave when they are finished."""

    def __init__(self, stack: Any, cross: Sequence[KeysValues], mask: Tensor, rows: Tensor, longest: int) -> None:
        """Row j writes at most `longest` tokens to prompt rows[j] of `cross` and `mask`."""
        self._stack = stack
        self._cross = [(keys[rows], values[rows]) for keys, values in cross]
        self._padding = _padding(mask[rows], torch.float32)
        self._bias = _position_bias(stack, longest)
        self._at = 0
        shape = (len(rows), *cross[0][0].shape[1:2], longest, cross[0][0].shape[3])
        empty = cross[0][0].new_empty
        self._own = [(empty(shape), empty(shape)) for _ in cross]

    def step(self, token: Tensor) -> Tensor:
        """(rows,) the tokens written last -> (rows, width) the state that the next ones are drawn from."""
        hidden = self._stack.dropout(self._stack.embed_tokens(token[:, None]))
        at, self._at = self._at, self._at + 1
        bias = self._bias[:, :, at : at + 1, : at + 1]
        for block, own, cross in zip(self._stack.block, self._own, self._cross, strict=True):
            layer, attention = block.layer[0], block.layer[0].SelfAttention
            normed = layer.layer_norm(hidden)
            for cache, new in zip(own, (attention.k(normed), attention.v(normed)), strict=True):
                cache[:, :, at : at + 1] = _heads(attention, new)
            keys, values = (cache[:, :, : at + 1] for cache in own)
            hidden = hidden + _attend(attention, normed, keys, values, bias)
            layer = block.layer[1]
            hidden = hidden + _attend(layer.EncDecAttention, layer.layer_norm(hidden), *cross, self._padding)
            hidden = block.layer[2](hidden)
        return _end(self._stack, hidden)[:, 0]

    def keep(self, rows: Tensor) -> None:
        """Goes on with those rows (indices) alone."""
        at = self._at
        self._cross = [(keys[rows], values[rows]) for keys, values in self._cross]
        self._padding = None if self._padding is None else self._padding[rows]
        kept = []
        for pair in self._own:
            new = tuple(cache.new_empty(len(rows), *cache.shape[1:]) for cache in pair)
            for cache, old in zip(new, pair, strict=True):
                cache[:, :, :at] = old[rows, :, :at]
            kept.append((new[0], new[1]))
        self._own = kept


def _encoder_block(block: Any, hidden: Tensor, bias: Tensor) -> Tensor:
    return block.layer[1](_self_attention(block, hidden, bias))


def _decoder_block(
    block: Any, hidden: Tensor, bias: Tensor, keys: Tensor, values: Tensor, padding: Tensor | None, rows: Tensor
) -> Tensor:
    hidden = _self_attention(block, hidden, bias)
    layer = block.layer[1]
    normed = layer.layer_norm(hidden)
    hidden = hidden + layer.dropout(_attend(layer.EncDecAttention, normed, keys[rows], values[rows], padding))
    return block.layer[2](hidden)


def _self_attention(block: Any, hidden: Tensor, bias: Tensor) -> Tensor:
    layer, attention = block.layer[0], block.layer[0].SelfAttention
    normed = layer.layer_norm(hidden)
    keys, values = _heads(attention, attention.k(normed)), _heads(attention, attention.v(normed))
    found: Tensor = hidden + layer.dropout(_attend(attention, normed, keys, values, bias))
    return found


def _attend(attention: Any, hidden: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    """T5 does not scale the product of queries and keys."""
    queries = _heads(attention, attention.q(hidden))
    rate = attention.dropout if attention.training else 0.0
    if attention.config._attn_implementation == "sdpa":
        bias = None if bias is None else bias.to(queries.dtype)
        mixed = scaled_dot_product_attention(queries, keys, values, bias, dropout_p=rate, scale=1.0)
    else:
        scores = queries @ keys.transpose(2, 3)
        shares = softmax(scores if bias is None else scores + bias, dim=-1)
        mixed = dropout(shares.to(values.dtype), rate) @ values
    found: Tensor = attention.o(mixed.transpose(1, 2).flatten(2))
    return found


def _heads(attention: Any, projected: Tensor) -> Tensor:
    """(rows, length, heads x width) -> (rows, heads, length, width)"""
    return projected.unflatten(-1, (-1, attention.key_value_proj_dim)).transpose(1, 2)


def _position_bias(stack: Any, length: int) -> Tensor:
    """(1, heads, length, length), which the first layer owns and all use."""
    found: Tensor = stack.block[0].layer[0].SelfAttention.compute_bias(length, length)
    return found


def _padding(mask: Tensor, dtype: torch.dtype) -> Tensor | None:
    """(rows, 1, 1, length): 0 at real tokens, hugely negative at pads; None where there are no pads."""
    if bool(mask.all()):
        return None
    return (1 - mask[:, None, None, :].to(dtype)) * torch.finfo(dtype).min


def _end(stack: Any, hidden: Tensor) -> Tensor:
    found: Tensor = stack.dropout(stack.final_layer_norm(hidden))
    return found


def _block(stack: Any, block: Any, *inputs: Any) -> Tensor:
    """A block's function, compiled and computed again in the backward pass where that is asked for."""
    if getattr(stack, "compiles", False):
        block = compiled(block)
    if stack.gradient_checkpointing and stack.training:
        found: Tensor = checkpoint(block, *inputs, use_reentrant=False)
        return found
    return block(*inputs)
