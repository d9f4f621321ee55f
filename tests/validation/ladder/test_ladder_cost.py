"""What holding an answer to its schema costs where it fits as it is."""

from __future__ import annotations

import json
import time

from fairlead.core.jsonx import whole
from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.shape import compile_shape

ROW = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "mood": {"enum": ["good", "bad"]},
    },
    "required": ["name", "age", "tags", "mood"],
    "additionalProperties": False,
}
SHAPE = compile_shape({"type": "object", "properties": {"rows": {"type": "array", "items": ROW}}, "required": ["rows"]})
TEXT = json.dumps(
    {"rows": [{"name": f"Ada Lovelace {i}", "age": i, "tags": ["x", "yy", "zzz"], "mood": "good"} for i in range(48)]}
)
AT_MOST_S = 25e-6


def test_four_kilobytes_that_fit_cost_little_more_than_reading_them():
    """The least of many runs, side by side; a busy machine slows down both."""
    reads = {
        "json": lambda: json.loads(TEXT),
        "strict": lambda: whole(TEXT),
        "climb": lambda: climb(TEXT, SHAPE),
    }
    least = dict.fromkeys(reads, 1.0)
    for _ in range(1_500):
        for name, read in reads.items():
            started = time.perf_counter()
            read()
            least[name] = min(least[name], time.perf_counter() - started)
    assert 3_500 < len(TEXT) < 4_500
    slower = max(least["json"] / 25e-6, 1.0)
    assert least["climb"] - least["json"] < AT_MOST_S * slower
    assert least["climb"] - least["strict"] < AT_MOST_S * slower
