"""State over time, with the time given: deadlines, breakers, later budgets and windows. Pure."""
