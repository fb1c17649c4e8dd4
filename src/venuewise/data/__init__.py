"""Market data: readers, windows, quality counts, the synthetic market."""
