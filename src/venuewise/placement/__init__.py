"""The Cont and Kukanov model: how much to take and how much to rest, with a bound on what could be better."""
