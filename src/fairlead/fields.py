"""Types that read what models write: times, dates, money and the like; for pydantic models and JSON Schema."""
