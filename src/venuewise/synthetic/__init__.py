"""Markets that are made up: a generated multi-venue day, and one real venue widened to several."""
