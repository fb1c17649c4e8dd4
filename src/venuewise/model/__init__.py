"""The mathematics: pure functions on arrays, no I/O."""
