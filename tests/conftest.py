"""What all tests share."""

pytest_plugins = ["fairlead.testing.plugin", "in_process", "processes"]
