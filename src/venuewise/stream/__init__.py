"""The live side, on Apache Kafka: market data in, decisions out.

`broker` runs a local Kafka, `codec` turns rows of `Events` into messages and back batch by batch, `replay`
paces a file onto a topic, `view` shows a topic, `settings` holds what every service reads from file,
environment and flags. Nothing outside this package imports confluent-kafka, so the rest of venuewise runs
without it.
"""
