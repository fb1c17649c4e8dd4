"""Many parent orders, tuning, intervals."""
