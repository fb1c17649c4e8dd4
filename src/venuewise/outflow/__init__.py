"""What leaves a queue, and what its fills are worth: estimated from the past of market data, never its future."""
