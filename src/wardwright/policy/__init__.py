"""Rules over what a phase knows, decided: conditions in three values, one arbiter, reasons and findings."""
