"""Governed tool calls: tools, houses and modes, the sandbox, what was learned from past calls."""
