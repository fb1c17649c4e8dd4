"""How messages travel, on Apache Kafka: exactly once, whatever is killed.

`service` is the loop that commits outputs, state and offsets together; `broker` runs a local Kafka, `replay`
paces a file onto a topic, `source` reads one back, `view` shows it, `settings` holds what every service reads
from file, environment and flags. Nothing here knows what is decided. Nothing outside this package imports
confluent-kafka, so the rest of venuewise runs without it.
"""
