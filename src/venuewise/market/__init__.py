"""Venues, fees and the consolidated book."""
