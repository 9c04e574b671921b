"""A tiny llama model with random weights, written where a test wants it.

About half a megabyte and a few milliseconds. Its words mean nothing, but everything around them is real: a chat
template, a byte vocabulary that reads any text, sampling, a context window that can be outgrown, embeddings.

Only printable ASCII is likely to be drawn: the rows of all other tokens in the output matrix are zero, and beside the
random logits of the printable ones (standard deviation LOGIT_SPREAD) a zero stands no chance. So answers are valid
text, and they end at `max_tokens` or at a stop sequence. A request that wants a tool call sends CALL_A_TOOL along: from
the mark that opens a call onwards, the server's own grammar makes even random weights write one that parses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import gguf
import numpy as np
import numpy.typing as npt

CONTEXT_TOKENS: Final = 2048
WIDTH: Final = 64
HEADS: Final = 4
LAYERS: Final = 2
FEED_FORWARD: Final = 128
LOGIT_SPREAD: Final = 6.0

# Shows tool calls the way many open models do, so that the server knows how to read them from the model's text.
CHAT_TEMPLATE: Final = """\
{%- if tools %}<|im_start|>system
# Tools
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
Answer with <tool_call>{"name": ..., "arguments": ...}</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{%- if message.content %}
{{ message.content }}
{%- endif %}
{%- if message.tool_calls %}
{%- for call in message.tool_calls %}
<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>
{%- endfor %}
{%- endif %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

_CONTROL: Final = ["<unk>", "<s>", "</s>"]
_MARKS: Final = ["<tool_call>", "</tool_call>"]
_BYTES: Final = [f"<0x{byte:02X}>" for byte in range(256)]
_PRINTABLE: Final = ["\u2581", *(chr(code) for code in range(0x21, 0x7F))]  # SentencePiece writes a space as U+2581
TOKENS: Final = [*_CONTROL, *_MARKS, *_BYTES, *_PRINTABLE]

CALL_A_TOOL: Final[dict[str, int]] = {str(TOKENS.index("<tool_call>")): 50, str(TOKENS.index("</s>")): 100}
"""The `logit_bias` that makes the answer one tool call and nothing else. Beside it the request wants
`tool_choice="required"` and `parallel_tool_calls=False`.

The server's grammar forbids the end of the answer before a call, so the mark that opens one comes first; after the
call the end is the likelier of the two.
"""

Weights = npt.NDArray[np.float32]


def write(path: Path, *, seed: int = 7, context_tokens: int = CONTEXT_TOKENS) -> Path:
    """Write the model to `path`; the same seed gives the same weights."""
    writer = gguf.GGUFWriter(path, "llama")
    _add_shape(writer, context_tokens)
    _add_vocabulary(writer)
    for name, weights in _weights(seed).items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_shape(writer: gguf.GGUFWriter, context_tokens: int) -> None:
    writer.add_name("tiny")
    writer.add_context_length(context_tokens)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(TOKENS))


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    types = [
        gguf.TokenType.UNKNOWN,
        *[gguf.TokenType.CONTROL] * (len(_CONTROL) - 1),
        *[gguf.TokenType.USER_DEFINED] * len(_MARKS),
        *[gguf.TokenType.BYTE] * len(_BYTES),
        *[gguf.TokenType.NORMAL] * len(_PRINTABLE),
    ]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0] * len(TOKENS))
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHAT_TEMPLATE)


def _weights(seed: int) -> dict[str, Weights]:
    luck = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> Weights:
        return np.asarray(luck.standard_normal((rows, columns)) / columns**0.5, dtype=np.float32)

    ones = np.ones(WIDTH, dtype=np.float32)
    output = matrix(len(TOKENS), WIDTH) * np.float32(LOGIT_SPREAD)
    output[: len(TOKENS) - len(_PRINTABLE)] = 0.0
    weights = {
        "token_embd.weight": matrix(len(TOKENS), WIDTH),
        "output_norm.weight": ones,
        "output.weight": output,
    }
    for layer in range(LAYERS):
        weights |= {
            f"blk.{layer}.attn_norm.weight": ones,
            f"blk.{layer}.attn_q.weight": matrix(WIDTH, WIDTH),
            f"blk.{layer}.attn_k.weight": matrix(WIDTH, WIDTH),
            f"blk.{layer}.attn_v.weight": matrix(WIDTH, WIDTH),
            f"blk.{layer}.attn_output.weight": matrix(WIDTH, WIDTH),
            f"blk.{layer}.ffn_norm.weight": ones,
            f"blk.{layer}.ffn_gate.weight": matrix(FEED_FORWARD, WIDTH),
            f"blk.{layer}.ffn_up.weight": matrix(FEED_FORWARD, WIDTH),
            f"blk.{layer}.ffn_down.weight": matrix(WIDTH, FEED_FORWARD),
        }
    return weights
