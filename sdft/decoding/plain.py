"""The forward pass of Llama, Qwen2 and Qwen3 as plain functions of their weights, with a static cache.

It leaves out what transformers' modules do around the arithmetic, which at miniature size costs as much as the
arithmetic. Rows stand at the left of the cache, each at its own length, so prompts need no mask and no padding before
them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

FAMILIES = ("llama", "qwen2", "qwen3")
# Frequencies that do not change with the length of a text.
ROPES = ("default", "linear", "llama3", "yarn")
# Weights of a smaller model are put together, so that a layer has four matrix products instead of seven.
FUSED_BYTES = 64 << 20
# A product of a large matrix and few rows is twice as fast on a CPU with the matrix on the left.
FEW_ROWS, LARGE = 16, 1 << 22


def is_plain(model: Any) -> bool:
    """Whether `Plain` computes what the model does: one of FAMILIES, whole attention, plain linear layers, no hooks."""
    config, body = model.config, getattr(model, "base_model", None)
    if config.model_type not in FAMILIES or not hasattr(body, "rotary_emb") or not hasattr(body, "layers"):
        return False
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = getattr(config, "layer_types", None) or ["full_attention"]
    linear = [module for layer in body.layers for module in _linears(layer)]
    head = model.get_output_embeddings()
    return (
        rope.get("rope_type", "default") in ROPES
        and set(kinds) == {"full_attention"}
        and all(type(module) is nn.Linear for module in linear)
        and type(head) is nn.Linear
        and head.bias is None
        and not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    )


def _linears(layer: Any) -> list[nn.Module]:
    attention, mix = layer.self_attn, layer.mlp
    return [
        *(attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj),
        *(mix.gate_proj, mix.up_proj, mix.down_proj),
    ]


class Layer:
    """One layer's weights, in the type that products are computed in."""

    def __init__(self, layer: Any, dtype: torch.dtype, fuse: bool) -> None:
        q, k, v, o, gate, up, down = ([module] for module in _linears(layer))
        join = _joined if fuse else _apart
        self.inward, self.out = join([*q, *k, *v], dtype), join(o, dtype)
        self.rise, self.fall = join([*gate, *up], dtype), join(down, dtype)
        self.norms = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        own = layer.self_attn
        self.own_norms = (own.q_norm.weight, own.k_norm.weight) if hasattr(own, "q_norm") else None


Products = list[tuple[Tensor, Tensor | None]]


def _apart(modules: list[nn.Module], dtype: torch.dtype) -> Products:
    return [(each.weight.to(dtype), None if each.bias is None else each.bias.to(dtype)) for each in modules]


def _joined(modules: list[nn.Module], dtype: torch.dtype) -> Products:
    weights, biases = zip(*_apart(modules, dtype), strict=True)
    # On a CPU as `_columns` of them all, in one copy.
    on_cpu = weights[0].device.type == "cpu"
    weight = torch.cat([each.T for each in weights], 1).T if on_cpu else torch.cat(weights)
    return [(weight, None if biases[0] is None else torch.cat(biases))]


def _columns(weight: Tensor) -> Tensor:
    """The weight, its columns one after the other in memory: on a CPU that saves a third of a product of few rows."""
    return weight.T.contiguous().T if weight.device.type == "cpu" else weight


def product(x: Tensor, weights: Products) -> Tensor:
    """x [..., d] times each of the weights, one beside the other."""
    few = x.dim() == 2 and x.shape[0] <= FEW_ROWS and x.device.type == "cpu"
    found = [_turned(x, *each) if few and each[0].numel() >= LARGE else functional.linear(x, *each) for each in weights]
    return found[0] if len(found) == 1 else torch.cat(found, -1)


def _turned(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    found = (weight @ x.T).T
    return found if bias is None else found + bias


class Plain:
    """A model's forward pass over a cache of `slots` rows and `length` positions.

    Under autocast, products are computed in its type and the weights are cast once. Between layers the states keep the
    type of the embeddings.
    """

    def __init__(self, model: Any, slots: int, length: int) -> None:
        config, body = model.config, model.base_model
        self.embeddings: Tensor = body.embed_tokens.weight.detach()
        device = self.embeddings.device
        narrow = torch.is_autocast_enabled(device.type) and self.embeddings.dtype == torch.float32
        self.dtype = torch.get_autocast_dtype(device.type) if narrow else self.embeddings.dtype
        size = sum(weight.numel() * weight.itemsize for weight in body.parameters())
        self.layers = [Layer(layer, self.dtype, size <= FUSED_BYTES) for layer in body.layers]
        head = model.get_output_embeddings().weight.to(self.dtype)
        self.norm, self.head = body.norm.weight, _columns(head) if size <= FUSED_BYTES else head
        # No hooks hang on it (`is_plain`).
        self.act, self.eps = body.layers[0].mlp.act_fn.forward, config.rms_norm_eps
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.width = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.scaling = self.width**-0.5
        cos, sin = body.rotary_emb(self.embeddings[:1].float(), torch.arange(length, device=device)[None])
        half = self.width // 2
        self.cos, self.sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], -1)
        self.turns = torch.cat([self.cos, self.sin], -1)
        shape = (len(self.layers), 2, slots, self.groups, length, self.width)
        self.cache = self.embeddings.new_zeros(shape, dtype=self.dtype)
        # What is added to scores: nothing at places that a row has, else minus infinity.
        self.bias = self.cache.new_full((slots, self.groups, 1, length), -torch.inf)
        self.starts = self._starts()

    def _starts(self) -> Tensor:
        """Where keys and values of each slot begin, counted in heads of the cache: [layers, 2, slots, groups]."""
        heads, length = self.cache.shape[:4], self.cache.shape[4]
        return (torch.arange(heads.numel(), device=self.cache.device) * length).view(heads)

    def keep(self, slots: Tensor) -> None:
        """Go on with these slots alone."""
        self.cache, self.bias = self.cache.index_select(2, slots), self.bias.index_select(0, slots)
        self.starts = self._starts()

    def prompt(self, ids: Tensor, lengths: Tensor, slots: Tensor) -> Tensor:
        """Read prompts [n, P], padded on the right, into slots [n]; the last token's final states [n, d]."""
        rows, width = ids.shape
        x, last = self.embeddings[ids], lengths - 1
        cos, sin = self.cos[:width, None], self.sin[:width, None]
        self.bias[slots] = self._bias(last)
        bias = self.bias[slots, ..., :width].flatten(0, 1)
        each = torch.arange(rows, device=ids.device)
        for number, layer in enumerate(self.layers):
            q, k, v = self._heads(layer, x, cos, sin)
            store = self.cache[number]
            store[0, slots, :, :width] = k.transpose(1, 2)
            store[1, slots, :, :width] = v.transpose(1, 2)
            if number + 1 < len(self.layers):
                found = functional.scaled_dot_product_attention(
                    q.transpose(1, 2),
                    k.transpose(1, 2),
                    v.transpose(1, 2),
                    is_causal=True,
                    scale=self.scaling,
                    enable_gqa=self.groups != self.heads,
                )
                found = found.transpose(1, 2).flatten(2)
            else:
                # Nothing but the last token's states is asked for.
                x, q = x[each, last], q[each, last]
                found = self._look(q, k.transpose(1, 2).flatten(0, 1), v.transpose(1, 2).flatten(0, 1), bias)
            x = self._mixed(layer, x, found)
        return x

    def step(self, tokens: Tensor, places: Tensor, length: int) -> Tensor:
        """The final states [slots, d] of one token a slot, at its own place, over `length` positions of the cache."""
        x = self.embeddings.index_select(0, tokens)
        cos, sin = self.turns.index_select(0, places)[:, None].chunk(2, -1)
        self.bias.scatter_(-1, places[:, None, None, None].expand(-1, self.groups, 1, 1), 0.0)
        bias = self.bias.flatten(0, 1)[..., :length]
        where = (self.starts + places[:, None]).flatten(1).unbind()
        rows = self.cache.view(-1, self.width)
        # Of all layers at once: with so few rows, views of tensors cost time as well.
        keys, values = (part.unbind() for part in self.cache[..., :length, :].flatten(2, 3).unbind(1))
        for number, layer in enumerate(self.layers):
            q, k, v = self._heads(layer, x, cos, sin)
            rows.index_copy_(0, where[number], torch.stack([k, v]).view(-1, self.width))
            x = self._mixed(layer, x, self._look(q, keys[number], values[number], bias))
        return x

    def logits(self, states: Tensor) -> Tensor:
        """Logits [n, V] of final states [n, d]."""
        return product(self._normed(states, self.norm), [(self.head, None)])

    def _bias(self, last: Tensor) -> Tensor:
        """The bias [n, 1, 1, length] of rows [n] that are filled up to their last places."""
        beyond = torch.arange(self.bias.shape[-1], device=last.device) > last[:, None]
        return torch.zeros_like(beyond, dtype=self.dtype).masked_fill_(beyond, -torch.inf)[:, None, None]

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        if x.dtype == weight.dtype == torch.float32:
            return self._typed(functional.rms_norm(x, weight.shape, weight, self.eps))
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return self._typed(weight * wide.to(x.dtype))

    def _typed(self, x: Tensor) -> Tensor:
        """In the type of products: asking costs less than a conversion that changes nothing."""
        return x if x.dtype == self.dtype else x.to(self.dtype)

    def _heads(self, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [..., heads, width], keys and values [..., groups, width] of states [..., d], turned by place."""
        found = product(self._normed(x, layer.norms[0]), layer.inward).unflatten(-1, (-1, self.width))
        turned = found[..., : self.heads + self.groups, :]
        if layer.own_norms is not None:
            parts = turned.split([self.heads, self.groups], -2)
            turned = torch.cat([self._normed(*pair) for pair in zip(parts, layer.own_norms, strict=True)], -2)
        turned = self._typed((turned * cos).add_(turned.roll(self.width // 2, -1) * sin))
        return turned[..., : self.heads, :], turned[..., self.heads :, :], found[..., self.heads + self.groups :, :]

    def _look(self, q: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """Attention of one query a row: q [n, heads, width] over keys and values [n x groups, length, width]."""
        rows = len(q)
        q = q.reshape(rows * self.groups, -1, self.width)
        scores = torch.baddbmm(bias, q, keys.transpose(1, 2), alpha=self.scaling)
        return torch.bmm(self._typed(scores.softmax(-1, dtype=torch.float32)), values).view(rows, -1)

    def _mixed(self, layer: Layer, x: Tensor, found: Tensor) -> Tensor:
        """The layer's output from its input and what its attention found."""
        x = x + product(found, layer.out)
        gate, up = product(self._normed(x, layer.norms[1]), layer.rise).chunk(2, -1)
        return x + product(self.act(gate) * up, layer.fall)
