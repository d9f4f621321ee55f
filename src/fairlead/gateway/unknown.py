"""What a caller is told whose path is not on the data port: mostly that its base URL is not the right one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from fairlead.errors import NotFound

_DOUBLED: Final = tuple((base, f"{base}{below}/") for base in ("/v1", "/v1beta") for below in ("/v1", "/v1beta"))
"""What a base URL must not end in, and how a path begins that comes of it."""
_CONTROL: Final = "on the control port, which `[gateway] admin_port` sets"
_ELSEWHERE: Final[Mapping[str, str]] = {
    "/health": "`/health/live` and `/health/ready` are there",
    "/healthz": "`/health/live` and `/health/ready` are there",
    "/livez": "use `/health/live`",
    "/readyz": "use `/health/ready`",
    "/metrics": f"metrics are {_CONTROL}",
}
_NOT_OFFERED: Final[Mapping[str, str]] = {
    "/v1/completions": "the legacy completions API is not offered; use `/v1/chat/completions`",
    "/v1/complete": "the legacy completions API is not offered; use `/v1/messages`",
    "/v1/messages/batches": "the batches API is not offered; call the provider itself for it",
    **{
        f"{base}/{name}": f"the {name.replace('_', ' ')} API is not offered; call the provider itself for it"
        for base, names in {
            "/v1": (
                "assistants", "audio", "batches", "containers", "conversations", "evals", "files", "fine_tuning",
                "images", "moderations", "realtime", "rerank", "threads", "uploads", "vector_stores", "videos",
            ),
            "/v1beta": ("batches", "cachedContents", "corpora", "files", "tunedModels"),
            "/upload/v1beta": ("files",),
        }.items()
        for name in names
    },
}  # fmt: skip
"""APIs that clients of the dialects know, each with all that is below it."""


def unknown(path: str, is_served: Callable[[str], bool]) -> NotFound:
    """The refusal of a path, with the remedy where the path tells it.

    Args:
        is_served: whether there is something at a path.
    """
    hint = _hint(path, is_served)
    return NotFound(f"no path {path[:200]!r} on this gateway" + ("" if hint is None else f"; {hint}"))


def _hint(path: str, is_served: Callable[[str], bool]) -> str | None:
    for base, beginning in _DOUBLED:
        if path.startswith(beginning):
            return f"the base URL of this client must not end in `{base}`"
    if path.startswith("//"):
        return "the base URL of this client must not end in `/`"
    bare = path.rstrip("/")
    if bare != path and is_served(bare):
        return f"leave off the slash at its end: `{bare}`"
    if is_served(f"/v1{path}"):
        return "this client takes the base URL that ends in `/v1`"
    if bare in _ELSEWHERE:
        return _ELSEWHERE[bare]
    return next((said for api, said in _NOT_OFFERED.items() if _is_below(api, path, f"/v1{path}")), None)


def _is_below(api: str, *paths: str) -> bool:
    return any(f"{path}/".startswith(f"{api}/") for path in paths)
