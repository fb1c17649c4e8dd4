"""Tests of venues, fees and books."""
