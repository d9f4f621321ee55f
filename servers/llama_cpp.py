"""llama.cpp's own HTTP server on the model of `model.py`, until it is killed: `python llama_cpp.py FOLDER PORT [caller]`.

Port 0 is a free one; a `caller` calls functions wherever it may.
Prints the address that it listens on.  It runs with the packages of `requirements/servers.txt`.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import xllamacpp
from model import write

_SLOTS = 2
_CONTEXT = 32_768


def main() -> None:
    """Serve on loopback."""
    path = Path(sys.argv[1]) / "tiny.gguf"
    write(path, calls="caller" in sys.argv)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.model_alias = {"tiny"}
    parameters.n_ctx = _CONTEXT * _SLOTS
    parameters.n_parallel = _SLOTS
    parameters.warmup = False
    parameters.endpoint_slots = True
    parameters.ui = False
    parameters.offline = True
    parameters.cpuparams.n_threads = 1
    if int(sys.argv[2]):
        parameters.port = int(sys.argv[2])
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
