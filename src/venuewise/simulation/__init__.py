"""How orders fill: the matching simulator and its accounting."""
