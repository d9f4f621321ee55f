"""What instructor reads from the cases: run with its own environment's interpreter, given folders.

Each text goes the way of its JSON mode: an answer that the length ended is refused, the last JSON in the text is taken, and
pydantic reads it.  Prints the values by folder and id; what was refused is not there.
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
    values: dict[str, dict[str, Any]] = {}
    for folder in map(Path, folders):
        adapters: dict[str, Any] = {}
        values[folder.name] = {}
        for case in cases.read(folder):
            if case.schema_name not in adapters:
                adapters[case.schema_name] = typed.Typist(case.schema).adapter()
            if case.cut:
                continue
            try:
                value = adapters[case.schema_name].validate_json(extract_json_from_codeblock(case.text))
            except ValueError:
                continue
            values[folder.name][case.id] = typed.written(value)
    json.dump(values, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
