"""Tests of the live side on Kafka."""
