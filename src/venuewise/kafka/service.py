"""The exactly-once loop: consume, process, and commit outputs, state and offsets in one Kafka transaction.

One processor owns one partition of the market topic, and the same partition of any other input. When a partition
is assigned, its state is read back from a compacted changelog topic; while it is worked, every batch's outputs,
changelog entries and consumed offsets are committed together or not at all. So whatever is killed, and whenever,
a reader of committed messages sees every input's outcome exactly once.

Zombies: an instance that lost its partitions commits with a stale group generation, and one that was replaced by
another with the same name commits with a stale producer epoch; the broker refuses both.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import uuid4

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from venuewise.data.events import NS_PER_SECOND
from venuewise.errors import ConfigError, VenuewiseError
from venuewise.kafka import clients, denials
from venuewise.kafka.changelog import read_changelog
from venuewise.kafka.client_notes import ClientNotes
from venuewise.kafka.group_watch import GroupWatch
from venuewise.kafka.letters import LETTER_SIZES, REASON_LETTERS, dead_letter, read_headers
from venuewise.kafka.metrics import Metrics
from venuewise.kafka.processing import DeadLetter, Incoming, Processed, Processor
from venuewise.kafka.settings import Settings
from venuewise.kafka.stopping import StopRequest
from venuewise.kafka.topics import BROKER_SECONDS
from venuewise.kafka.wiring import Wiring, prepare_topics

BATCH: Final = 5_000
"""Messages of one transaction at most: what bounds memory, whatever is waiting."""
IDLE_SECONDS: Final = 0.5
TRANSACTION_MS: Final = 10_000
"""How long a transaction of an instance that died can hold up readers."""
COMMIT_SECONDS: Final = 30.0
NEWCOMER_SECONDS: Final = 5.0
"""How long an instance of the same name may take from fencing our producer to putting its token in the changelog."""
OWNER: Final = b"owner|"
"""Key, with the name of an instance, of the token of the process that took the name last."""
OUTAGE_SECONDS: Final = 300.0
"""How long the service waits for a broker that has gone away, before it gives up."""
UNKNOWN_MEMBER: Final = (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID, KafkaError._STATE)
"""Errors of a consumer that the group has given up: those of a call, and of calls after it."""
UNSENDABLE: Final = (
    KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE, KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD,
)  # fmt: skip
"""What is said of messages that no broker will ever take: sending them again is of no use."""
ROLES: Final = ("orders", "fills", "children", "market")
"""Order in which the inputs of one poll are processed."""

log = structlog.get_logger("venuewise")


def calm_collector() -> None:
    """Make Python look for cycles once a batch or so, and never among what was there when the service started.

    Messages hold none; at its usual pace the collector takes a fifth of the time. For a process of its own.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


class FencedError(VenuewiseError):
    """Another instance has taken this one's place."""


class FaultError(Exception):
    """A batch that cannot be worked for a reason that is not the broker's; nothing of it has been committed."""


Arrived = tuple[Message, Incoming]
"""A message, and what its processor is given of it."""


class _Worked(NamedTuple):
    """What a processor made of some messages, for the books once it is committed."""

    role: str
    group: list[Arrived]
    result: Processed
    seconds: float


class Service:
    """Run processors over the partitions that the group gives this instance.

    Parameters
    ----------
    settings : Settings
        Brokers and how to talk to them.
    wiring : Wiring
    make : callable
        Returns a fresh processor for a partition.
    group : str
        Consumer group; instances of one group share the partitions.
    instance : str
        Name of this instance, unique in its group and kept over restarts: the group remembers it (static
        membership), and a second process of the same name fences the first.
    metrics : Metrics
    batch : int
        Messages of one transaction at most.
    watch : callable, optional
        Called with every output once it is committed.
    """

    def __init__(
        self,
        settings: Settings,
        wiring: Wiring,
        make: Callable[[], Processor],
        *,
        group: str,
        instance: str,
        metrics: Metrics,
        batch: int = BATCH,
        watch: Callable[[bytes], None] | None = None,
    ) -> None:
        self.watch = watch
        self.settings, self.wiring, self.make, self.metrics, self.batch = (
            settings,
            wiring,
            make,
            metrics,
            batch,
        )
        self.group, self.instance = group, instance
        self.processors: dict[int, Processor] = {}
        self.done = self.dead = self.partitions = 0
        self._gone: set[int] = set()
        self._busy = math.inf
        self._letters = LETTER_SIZES[0]
        self._notes = ClientNotes(metrics)
        self._consumer: Any = None
        self._producer: Any = None
        self._owner = OWNER + instance.encode()
        self._token = uuid4().hex.encode()

    def run(self, stop: StopRequest, *, limit: int | None = None, idle_exit: float | None = None) -> int:
        """Work until asked to stop; finish the batch, commit and leave the group.

        Parameters
        ----------
        limit : int, optional
            Stop after so many messages.
        idle_exit : float, optional
            Stop after so many seconds without a message, counted from the assignment of partitions.

        Returns
        -------
        int
            Messages processed.

        Raises
        ------
        FencedError
            If another instance of the same name, or a rebalance, took this one's place for good.
        ConfigError
            If the broker or a topic cannot be reached.
        """

        def stopped() -> bool:
            self.metrics.beat = time.monotonic()
            return bool(stop)

        self.partitions = prepare_topics(self.settings, self.wiring, stopped)
        if not self.partitions:
            return 0
        self._watch = GroupWatch(self.settings, self.group, self.wiring.inputs["market"], self.partitions)
        try:
            self._start_producing()
            self._join_group()
            self.metrics.ready = True
            return self._loop(stop, limit, idle_exit)
        except KafkaException as failure:
            denied = self._denied(failure.args[0])
            if denied is not None:
                raise denied from None
            raise ConfigError(
                f"Kafka: found {failure.args[0].str()}; expected a broker that goes on"
            ) from None
        finally:
            self.metrics.ready = False
            self._watch.close()
            if self._consumer is not None:
                self._consumer.close()

    def _denied(self, error: KafkaError) -> ConfigError | None:
        """Return what a broker's refusal means for us, None where it is none."""
        name = f"{self.group}-{self.instance}"
        needed = self.wiring.rights
        return denials.explain(self.settings, error, group=self.group, transactional_id=name, needed=needed)

    def _start_producing(self) -> None:
        """Make a producer, and put our token in the changelog: the name is ours.

        What another producer of our name had open is aborted, or committed if it had been asked to.
        """
        self._producer = clients.producer(
            self.settings,
            {
                "transactional.id": f"{self.group}-{self.instance}",
                "transaction.timeout.ms": TRANSACTION_MS,
                "enable.idempotence": True,
                "delivery.report.only.error": True,
                "error_cb": self._notes.error,
                "log_level": 0,
                "queue.buffering.max.messages": 200_000,
            },
            preferred={
                "compression.type": "lz4",
                "linger.ms": 20,  # a commit sends what waits: it costs no time, and spares requests
                "partitioner": "murmur2_random",
                # The broker asks for patience while it still completes the transaction before: a few ms.
                "retry.backoff.ms": 5,
            },
        )
        self._persist(lambda: self._producer.init_transactions(COMMIT_SECONDS))
        self._producer.begin_transaction()
        self._send(self.wiring.changelog, self._owner, self._token, partition=0)
        self._persist(lambda: self._producer.commit_transaction(COMMIT_SECONDS))

    def _join_group(self) -> None:
        self._busy = math.inf  # idle time counts from the assignment
        self._consumer = clients.consumer(
            self.settings,
            {
                "group.id": self.group,
                "group.instance.id": self.instance,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
                "partition.assignment.strategy": "cooperative-sticky",
                "error_cb": self._notes.error,
                "stats_cb": self._notes.statistics,
                "statistics.interval.ms": 2_000,
                "log_level": 0,
            },
            preferred={
                "auto.offset.reset": "earliest",
                "session.timeout.ms": 10_000,
                "heartbeat.interval.ms": 1_000,  # a rebalance is heard of with a heartbeat
                "queued.max.messages.kbytes": 16_384,
                "fetch.wait.max.ms": 5,
                "fetch.queue.backoff.ms": 2,
            },
        )
        self._consumer.subscribe(
            [self.wiring.inputs["market"]],
            on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked,
        )  # fmt: skip

    def _begin_again(self, failure: KafkaException, *, producing: bool) -> None:
        """Join the group anew, with a new producer if the old one cannot go on, if no other process has our name.

        A broker that was away for long, or was killed, leaves us looking like our own impostor: the coordinator
        has aborted our transaction in the name of a newer producer, or has replaced our member of the group because
        its answer to a join was lost. A real second process has put its token in the place of ours first.
        """
        deadline = time.monotonic() + OUTAGE_SECONDS
        while True:
            log.warning("beginning again", error=failure.args[0].str())
            if self._taken_over(NEWCOMER_SECONDS if producing else 0.0):
                raise FencedError(f"another instance of the name {self.instance} has taken over")
            try:
                if producing:
                    self._start_producing()
                break
            except KafkaException as another:
                if time.monotonic() > deadline:
                    raise
                failure = another
        self._consumer.close()
        self.processors.clear()
        self._join_group()

    def _taken_over(self, patience: float) -> bool:
        """Say whether another process has our name, or takes it while we wait so many seconds."""
        deadline = time.monotonic() + patience
        while True:
            self.metrics.beat = time.monotonic()
            entries = dict(read_changelog(self.settings, self.wiring.changelog, 0, OUTAGE_SECONDS))
            if entries.get(self._owner) != self._token:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)

    def _loop(self, stop: StopRequest, limit: int | None, idle_exit: float | None) -> int:
        while not stop and (limit is None or self.done < limit):
            self.metrics.beat = time.monotonic()
            self._watch.turn(len(self.processors))
            messages: list[Message] = []
            try:
                messages = self._next_batch(limit)
                began = time.monotonic()
                committed = bool(messages) and self._work(messages, stop)
            except KafkaException as failure:
                if not failure.args[0].fatal() and failure.args[0].code() not in UNKNOWN_MEMBER:
                    raise
                self._begin_again(failure, producing=bool(messages))
                continue
            if messages:
                if committed:
                    self.metrics.rate.set(len(messages) / max(time.monotonic() - began, 1e-9))
                    self._note_lag(messages)
                self._busy = time.monotonic()
            elif idle_exit is not None and time.monotonic() - self._busy > idle_exit:
                break
        return self.done

    def _next_batch(self, limit: int | None) -> list[Message]:
        most = self.batch if limit is None else min(self.batch, limit - self.done)
        messages = self._consumer.consume(1, IDLE_SECONDS)
        if messages and most > 1:
            self._gone.clear()
            more = self._consumer.consume(most - 1, 0.0)
            # Where a rebalance came in between, its new owner (it may be us again) begins at what is committed.
            messages = [message for message in messages if message.partition() not in self._gone] + more
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                if message.partition() in self.processors:
                    good.append(message)
            elif error.fatal() or error.code() == KafkaError._FATAL or error.code() in denials.DENIED:
                raise KafkaException(error)
            elif not error.retriable():
                log.warning("consumer", error=error.str())
        return good

    def _work(self, messages: list[Message], stop: StopRequest) -> bool:
        """Process a batch, of which a message that cannot be worked goes to the dead letters; False after an abort.

        A batch that fails is halved, in the order in which it is worked, down to the message that it fails of.
        """
        waiting = [[(message, Incoming(message.value(), read_headers(message))) for message in messages]]
        while waiting:
            batch = waiting.pop()
            try:
                if not self._transact(batch):
                    return False  # what is left comes again
            except FaultError as fault:
                if stop:
                    return False
                if len(batch) == 1:
                    if not self._put_aside(batch[0], str(fault)):
                        return False
                else:
                    batch = self._in_order(batch)
                    half = len(batch) // 2
                    waiting += [batch[half:], batch[:half]]
        return True

    def _put_aside(self, arrived: Arrived, reason: str) -> bool:
        """Send a message that fails to the dead letters; where the topic refuses them, cut them from now on."""
        while True:
            try:
                if not self._transact([arrived], refused=reason):
                    return False
            except FaultError as fault:
                if self._letters == LETTER_SIZES[-1]:
                    raise ConfigError(
                        f"topic {self.wiring.dead_letters}: found it taking no dead letter ({fault}); "
                        "expected max.message.bytes of 4096 or more"
                    ) from None
                self._letters = LETTER_SIZES[LETTER_SIZES.index(self._letters) + 1]
                log.warning("dead letters are cut", topic=self.wiring.dead_letters, bytes=self._letters[1])
            else:
                self.metrics.faults.inc()
                return True

    def _in_order(self, batch: list[Arrived]) -> list[Arrived]:
        """Return messages partition by partition, and in each by the order of the inputs."""
        rank = {topic: ROLES.index(role) for role, topic in self.wiring.inputs.items()}
        return sorted(batch, key=lambda arrived: (arrived[0].partition(), rank[arrived[0].topic()]))

    def _transact(self, batch: list[Arrived], *, refused: str | None = None) -> bool:
        """Process a batch in one transaction; on an abort, go back to what is committed and say False.

        Parameters
        ----------
        refused : str, optional
            Why the messages are not processed at all, but are dead letters.

        Raises
        ------
        FaultError
            If processing fails, or the broker takes what comes of it for no message; state is what is committed.
        """
        producer = self._producer
        grouped: dict[tuple[int, str], list[Arrived]] = {}
        for arrived in batch:
            grouped.setdefault((arrived[0].partition(), arrived[0].topic()), []).append(arrived)
        offsets = [
            TopicPartition(topic, partition, group[-1][0].offset() + 1)
            for (partition, topic), group in grouped.items()
        ]
        worked: list[_Worked] = []
        try:
            producer.begin_transaction()
            for partition in sorted({partition for partition, _ in grouped}):
                processor = self.processors[partition]
                for role in ROLES:
                    group = grouped.get((partition, self.wiring.inputs.get(role, "")))
                    if group:
                        worked.append(self._process(processor, role, group, refused))
                for key, value in processor.changes():
                    self._send(self.wiring.changelog, key, value, partition=partition)
            member = self._consumer.consumer_group_metadata()
            self._persist(lambda: producer.send_offsets_to_transaction(offsets, member, COMMIT_SECONDS))
            self._persist(lambda: producer.commit_transaction(COMMIT_SECONDS))
        except KafkaException as failure:
            error = failure.args[0]
            unsendable = error.code() in UNSENDABLE
            if (
                error.fatal()
                or not (unsendable or error.txn_requires_abort())
                or error.code() in denials.DENIED
            ):
                raise
            if unsendable:
                self._undo(grouped, failure)
                raise FaultError(f"what comes of it cannot be sent: {error.str()}") from None
            self.metrics.transactions.labels("aborted").inc()
            log.warning("transaction aborted", error=error.str())
            self._persist(lambda: producer.abort_transaction(COMMIT_SECONDS))
            self._roll_back()
            return False
        except (
            Exception
        ) as failure:  # a fault of ours, or of a strategy: whichever message it is must not stop the rest
            self._undo(grouped, failure)
            raise FaultError(f"a fault of venuewise: {type(failure).__name__}: {failure}") from failure
        self.metrics.transactions.labels("committed").inc()
        self.metrics.heard = time.monotonic()
        self.done += len(batch)
        self._note(worked)
        return True

    def _undo(self, grouped: Mapping[tuple[int, str], list[Arrived]], failure: Exception) -> None:
        """Abort a batch that failed, and give its partitions their committed state back; positions stay."""
        self.metrics.transactions.labels("aborted").inc()
        messages = sum(map(len, grouped.values()))
        log.warning("batch failed", messages=messages, error=f"{type(failure).__name__}: {failure}")
        self._persist(lambda: self._producer.abort_transaction(COMMIT_SECONDS))
        # As when partitions are assigned: the offsets tell that the transaction before is complete.
        partitions = sorted({partition for partition, _ in grouped})
        self._committed([TopicPartition(self.wiring.inputs["market"], p) for p in partitions])
        for partition in partitions:
            self._restore(partition)

    def _process(self, processor: Processor, role: str, group: list[Arrived], refused: str | None) -> _Worked:
        began = time.perf_counter()
        if refused is None:
            result = processor.process(role, [incoming for _, incoming in group])
        else:
            result = Processed([], [DeadLetter(index, refused) for index in range(len(group))], {})
        seconds = time.perf_counter() - began
        produce, topics = self._producer.produce, self.wiring.outputs
        for role_out, key, value, headers_out in result.outputs:
            if headers_out:
                self._send(topics[role_out], key, value, headers=list(headers_out))
                continue
            try:
                produce(topics[role_out], value, key)
            except BufferError:
                self._send(topics[role_out], key, value)
        for dead in result.dead:
            message, incoming = group[dead.index]
            letter = dead_letter(message, incoming.headers, dead.reason, *self._letters)
            self._send(self.wiring.dead_letters, letter.key, letter.value, headers=letter.headers)
        return _Worked(role, group, result, seconds)

    def _note(self, worked: list[_Worked]) -> None:
        """Count, log and show what was committed."""
        now = time.time()
        for role, group, result, seconds in worked:
            self.metrics.processing.observe(seconds / len(group))
            self.metrics.messages.labels(role).inc(len(group))
            if "ts_recv" in result.counts:
                received = result.counts.pop("ts_recv") / NS_PER_SECOND
                self.metrics.decision_latency.observe(max(now - received, 0.0))
            self.metrics.note(result.counts)
            for message, _ in group[:: max(len(group) // 100, 1)]:
                self.metrics.transit.observe(max(now - message.timestamp()[1] / 1000, 0.0))
            for dead in result.dead:
                message, _ = group[dead.index]
                self.dead += 1
                self.metrics.dead.inc()
                log.warning(
                    "dead letter", topic=message.topic(), partition=message.partition(), offset=message.offset(),
                    reason=dead.reason[:REASON_LETTERS],
                )  # fmt: skip
            if self.watch is not None:
                for output in result.outputs:
                    self.watch(output.value)

    def _persist(self, call: Callable[[], None]) -> None:
        """Call again while the broker cannot answer; what was asked for stands, so asking twice does no harm."""
        deadline = time.monotonic() + OUTAGE_SECONDS
        while True:
            self.metrics.beat = time.monotonic()
            try:
                return call()
            except KafkaException as failure:
                if not failure.args[0].retriable() or time.monotonic() > deadline:
                    raise
                log.warning("waiting for the broker", error=failure.args[0].str())
                time.sleep(0.1)

    def _send(
        self, topic: str, key: bytes | None, value: bytes | None, partition: int = -1, headers: Any = None
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, headers=headers)
            except BufferError:
                # The broker is slower than we are: wait for it, and hold no more than the queue.
                self._producer.poll(0.1)
            else:
                return

    def _assigned(self, _consumer: Any, partitions: list[TopicPartition]) -> None:
        began = time.monotonic()
        others = [topic for role, topic in self.wiring.inputs.items() if role != "market"]
        taken = [TopicPartition(p.topic, p.partition) for p in partitions]
        taken += [TopicPartition(topic, p.partition) for p in partitions for topic in others]
        if taken:
            # Offsets come first: the broker withholds them while a transaction of a former owner is open, so the
            # changelog read after them holds everything that belongs to them.
            committed = self._committed(taken)
            for p in partitions:
                self._restore(p.partition)
            self._consumer.incremental_assign(committed)
        self._busy = time.monotonic()
        log.info(
            "assigned", partitions=[p.partition for p in partitions],
            restored_in_seconds=round(time.monotonic() - began, 3),
        )  # fmt: skip

    def _committed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        deadline = time.monotonic() + OUTAGE_SECONDS
        while True:
            self.metrics.beat = time.monotonic()
            try:
                found = self._consumer.committed(partitions, BROKER_SECONDS)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                continue
            unsure = [p for p in found if p.error is not None]
            if not unsure:
                return list(found)
            if time.monotonic() > deadline:
                raise KafkaException(unsure[0].error)
            time.sleep(0.1)

    def _revoked(self, _consumer: Any, partitions: list[TopicPartition]) -> None:
        topics = self.wiring.inputs.values()
        gone = {p.partition for p in partitions}
        self._gone |= gone
        for partition in gone:
            self.processors.pop(partition, None)
        self._consumer.incremental_unassign(
            [TopicPartition(topic, p) for p in sorted(gone) for topic in topics]
        )
        log.info("revoked", partitions=sorted(gone))

    def _roll_back(self) -> None:
        """Forget what the aborted transaction did: state and positions go back to what is committed."""
        partitions = sorted(self.processors)
        owned = [TopicPartition(topic, p) for p in partitions for topic in self.wiring.inputs.values()]
        for place in self._committed(owned):
            self._consumer.seek(place)
        for partition in partitions:
            self._restore(partition)

    def _restore(self, partition: int) -> None:
        """Give a partition a fresh processor with its committed state."""
        processor = self.make()
        entries = read_changelog(self.settings, self.wiring.changelog, partition, OUTAGE_SECONDS)
        processor.restore([(key, value) for key, value in entries if not key.startswith(OWNER)])
        self.processors[partition] = processor

    def _note_lag(self, messages: list[Message]) -> None:
        last = {(m.topic(), m.partition()): m.offset() for m in messages}
        for (topic, partition), offset in last.items():
            if topic == self.wiring.inputs["market"]:
                _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
                self.metrics.lag.labels(partition).set(max(high - offset - 1, 0))
