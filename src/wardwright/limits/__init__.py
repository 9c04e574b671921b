"""State over time, with the time given: deadlines, breakers, budgets and their windows. Pure."""
