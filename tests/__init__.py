"""Tests of venuewise."""
