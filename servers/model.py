"""A language model that says nothing: random letters, from weights that are made here in a moment.

It runs with the packages of `requirements/servers.txt`, not with Fairlead's.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WIDTH = 32
_HEADS = 2
_INNER = 64
_CONTEXT = 65_536
_LOUD = 5.0
"""The first number of each token's vector, which outweighs all that the layer adds: what follows is nearly by chance."""
_NEVER = -5.0
"""How the output looks upon it for a token that is not to come."""
_SECOND, _FIRST = 7.0, 12.0
"""The same for one that comes before all others, and for those that come before the rest."""
_UNKNOWN, _BEGIN, _END, _CALL, _BYTES = range(5)
"""Numbers of the tokens that are no text, and of the first byte; the end comes only where a caller asks for it by `logit_bias`."""
_TEMPLATE = """\
{%- if tools %}<|im_start|>system
Tools:{% for tool in tools %}
{{ tool | tojson }}{% endfor %}<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.content %}{{ message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""As models of the Hermes kind have it: the server makes calls of functions of what stands in `<tool_call>`."""


def write(path: Path, *, calls: bool) -> None:
    """Write it as a GGUF file: a llama of one layer.

    Args:
        calls: it ends at once where it may, else calls a function where it may, else it babbles as the other does.
    """
    random = np.random.default_rng(1)
    tokens, types = _vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer, tokens, types)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, random.standard_normal(shape).astype(np.float32) * 0.1)

    def add_norm(name: str) -> None:
        writer.add_tensor(name, np.ones(WIDTH, np.float32))

    embedded = random.standard_normal((len(tokens), WIDTH)).astype(np.float32) * 0.1
    embedded[:, 0] = _LOUD
    writer.add_tensor("token_embd.weight", embedded)
    said = random.standard_normal((len(tokens), WIDTH)).astype(np.float32) * 0.1
    said[:, 0] = [0.0 if kind == gguf.TokenType.NORMAL else _NEVER for kind in types]
    if calls:
        # A call begins with the end of a line; which of the two comes next is left to chance, else one comes for ever.
        said[[_END, _CALL, _BYTES + ord("\n")], 0] = _FIRST, _SECOND, _SECOND
    writer.add_tensor("output.weight", said)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        add_norm(f"{name}.weight")
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        add(f"blk.0.{name}.weight", WIDTH, WIDTH)
    add("blk.0.ffn_gate.weight", _INNER, WIDTH)
    add("blk.0.ffn_up.weight", _INNER, WIDTH)
    add("blk.0.ffn_down.weight", WIDTH, _INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary() -> tuple[list[str], list[int]]:
    """Words of one letter, and the bytes of which all other text is made."""
    coded = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = ["<unk>", "<s>", "</s>", "<tool_call>", *coded, *(f"▁{letter}" for letter in LETTERS)]
    kind = gguf.TokenType
    return tokens, [
        kind.UNKNOWN, kind.CONTROL, kind.CONTROL, kind.USER_DEFINED, *[kind.BYTE] * 256, *[kind.NORMAL] * len(LETTERS)
    ]  # fmt: skip


def _describe(writer: gguf.GGUFWriter, tokens: list[str], types: list[int]) -> None:
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // _HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(types)
    writer.add_unk_token_id(_UNKNOWN)
    writer.add_bos_token_id(_BEGIN)
    writer.add_eos_token_id(_END)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(_TEMPLATE)
