"""Speed, measured side by side. `make bench` prints every table."""
