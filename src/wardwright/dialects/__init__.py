"""Wire formats in both directions, without I/O: SSE framing, OpenAI chat and Anthropic Messages <-> kernel events."""
