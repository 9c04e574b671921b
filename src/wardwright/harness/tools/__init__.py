"""The built-in tools: system, git, network, file."""
