"""What a synthetic model name means now: dispatcher, cascade, alloy, fit, graph. Pure."""
