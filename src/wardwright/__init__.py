"""Wardwright: a governed front door for agentic systems."""

__version__ = "0.1.0"
