"""A LiteLLM proxy's configuration in Fairlead's words, and an account of what became of each of its settings."""

from fairlead.config.litellm.account import Row
from fairlead.config.litellm.translation import Translated, translate

__all__ = ["Row", "Translated", "translate"]
