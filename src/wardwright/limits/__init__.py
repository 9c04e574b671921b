"""State over time, with the time given: deadlines, breakers, budgets and their windows, learned patterns. Pure."""
