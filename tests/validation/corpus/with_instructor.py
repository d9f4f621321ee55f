"""What instructor reads from the cases: run with its own environment's interpreter, given folders.

Each text goes the way of its JSON mode: an answer that the length ended is refused, the last JSON in the text is taken, and
pydantic reads it.  Prints an object of the values by id; what was refused is not in it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from instructor.utils import extract_json_from_codeblock

sys.path.insert(0, str(Path(__file__).resolve().parent))
import cases
import typed


def main(folders: list[str]) -> None:
    """Reads all cases of the folders."""
    adapters: dict[str, Any] = {}
    values = {}
    for folder in folders:
        for case in cases.read(Path(folder)):
            key = json.dumps(case.schema)
            adapter = adapters.setdefault(key, None) or typed.Typist(case.schema).adapter()
            adapters[key] = adapter
            if case.cut:
                continue
            try:
                value = adapter.validate_json(extract_json_from_codeblock(case.text))
            except ValueError:
                continue
            values[case.id] = typed.written(value)
    json.dump(values, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
