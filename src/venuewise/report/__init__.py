"""Results on paper: JSON, pictures."""
