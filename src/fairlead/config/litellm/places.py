"""Where a deployment answers: LiteLLM's names of providers, and base URLs as Fairlead takes them."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from fairlead.config.rules import url_faults

VENDORS: Final = {
    "anthropic": "anthropic",
    "azure": "azure",
    "azure_ai": "azure",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "gemini",
    "groq": "groq",
    "hosted_vllm": "vllm",
    "llamafile": "llamacpp",
    "lm_studio": "lmstudio",
    "mistral": "mistral",
    "ollama": "ollama",
    "ollama_chat": "ollama",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "sglang": "sglang",
    "together_ai": "together",
    "voyage": "voyage",
    "xai": "xai",
}
"""LiteLLM's name of a provider to ours of the vendor."""
COMPATIBLE: Final = frozenset({"openai", "openai_like", "custom_openai", "litellm_proxy", "lm_studio"})
"""Any server of OpenAI's dialect, where a base is given."""
KEYS: Final = {
    "azure": "AZURE_API_KEY",
    "fireworks": "FIREWORKS_AI_API_KEY",
    "together": "TOGETHERAI_API_KEY",
    "perplexity": "PERPLEXITYAI_API_KEY",
}
"""The variables in which LiteLLM looks for a key, where they are others than ours."""
_FAMILIES: Final = (
    (re.compile(r"(gpt-|o\d|chatgpt-|text-embedding-|ft:gpt-)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
)
"""What LiteLLM makes of a model without a provider."""
_AZURE: Final = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
_GENERAL: Final = frozenset({"api", "llm", "www", "gateway", "inference"})
"""Words at the front of a host that tell one from no other."""
_LOCAL: Final = (".local", ".internal", ".lan", ".svc", ".localhost")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor, or a dialect at a base URL."""

    vendor: str | None = None
    base_url: str | None = None
    """`None`: the vendor's own."""


def split_model(name: str, provider: str | None, *, has_base: bool) -> tuple[str | None, str]:
    """LiteLLM's provider and the provider's own name of the model; `None`: it cannot be told."""
    if provider is not None:
        return provider, name.removeprefix(f"{provider}/")
    before, slash, model = name.partition("/")
    if slash and (before in VENDORS or before in COMPATIBLE):
        return before, model
    guessed = next((vendor for pattern, vendor in _FAMILIES if pattern.match(name)), None)
    if guessed is None and has_base and not slash:
        return "openai", name
    return (before if slash else guessed), (model if slash else name)


def base_of(vendor: str | None, base: str) -> tuple[str | None, str | None]:
    """A base URL as Fairlead takes it, or why it cannot be used."""
    fault = next(url_faults(base, private=True), None)
    if fault is not None or not base.isascii() or not base.isprintable() or " " in base:
        return None, f"it {fault or 'holds characters that no URL has'}"
    url = base.rstrip("/")
    for end in ("/chat/completions", "/messages"):
        url = url.removesuffix(end)
    parts = urlsplit(url)
    host = parts.hostname or ""
    if vendor == "azure":
        if not host.endswith(_AZURE):
            return None, "only Azure's v1 API is spoken, at `https://RESOURCE.openai.azure.com/openai/v1`"
        return f"https://{parts.netloc}/openai/v1", None
    if vendor in ("ollama", "anthropic") and not parts.path.endswith("/v1"):
        url += "/v1"
    return url, None


def is_private(url: str) -> bool:
    """Whether it is, or looks like, an address of one's own network."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return parts.scheme == "http" or "." not in host or host.endswith(_LOCAL)


def named(url: str) -> str:
    """A name for a server, from its host."""
    host = urlsplit(url).hostname or ""
    labels = [label for label in host.split(".") if label not in _GENERAL] or [""]
    word = re.sub(r"[^a-z0-9-]", "", labels[0]).strip("-")
    return "server" if not word or word.isdigit() or ":" in host else word[:40]
