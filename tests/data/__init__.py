"""Tests of market data in and out."""
