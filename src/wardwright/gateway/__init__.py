"""Governed model calls: who calls, what the name means now, carrying the plan out."""
