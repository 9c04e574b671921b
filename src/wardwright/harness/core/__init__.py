"""The harness's pure half: words, decisions, predictions."""
