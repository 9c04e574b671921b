"""The composition root: settings, wiring, supervision, reload, the board of live calls."""
