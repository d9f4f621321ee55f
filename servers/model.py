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
_UNKNOWN, _BEGIN, END = 0, 1, 2
"""Numbers of the tokens that are no text; `END` comes only where a caller asks for it by `logit_bias`."""
_TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"


def write(path: Path) -> None:
    """Write it as a GGUF file: a llama of one layer."""
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
    tokens = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *(f"▁{letter}" for letter in LETTERS),
    ]
    control, byte, normal = gguf.TokenType.CONTROL, gguf.TokenType.BYTE, gguf.TokenType.NORMAL
    return tokens, [gguf.TokenType.UNKNOWN, control, control, *[byte] * 256, *[normal] * len(LETTERS)]


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
    writer.add_eos_token_id(END)
    writer.add_chat_template(_TEMPLATE)
