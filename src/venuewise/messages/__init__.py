"""What is said on topics: market data, requests, child orders, fills and reports as JSON, and their kernels."""
