"""What makes delivery reliable: the queue on disk, and its batches."""

from __future__ import annotations

from driftline.fleet._collector.backend import Component, Variable

__all__ = ["QUEUE", "QUEUE_VARIABLE", "delivery"]

QUEUE_BYTES = 1_000_000_000
"""Largest queue on disk, in bytes before compression: 55 hours of a process with 50 features, by capacity.md."""

QUEUE_VARIABLE = Variable("DRIFTLINE_COLLECTOR_QUEUE", "folder of the queues", "driftline-queue")

QUEUE = Component(
    "file_storage/queue",
    f"""
    directory: {QUEUE_VARIABLE.reference}
    create_directory: true
    # A file on which the database fails is set aside. One that is no database stops the start: remove it.
    recreate: true
    # The file shrinks again after an outage.
    compaction:
      on_rebound: true
      cleanup_on_start: true
      directory: {QUEUE_VARIABLE.reference}
    """,
    why="Queues on disk: what was accepted survives the end of the collector, SIGKILL included. Put the folder on a "
    "volume that outlives the container.",
)


def delivery(batch_bytes: int, *, seconds: str = "1s", block: bool = False) -> list[str]:
    """
    Return the settings of an exporter for retries, its queue and its batches.

    Args:
        batch_bytes: largest request in bytes, before compression.
        seconds: longest time that a batch waits for more, as the collector writes it.
        block: whether a full queue makes senders wait, rather than try again.
    """
    return [
        "# Try again until the receiver accepts. What it refuses for good (400, 401, 403) is dropped and logged.",
        "retry_on_failure:",
        "  initial_interval: 1s",
        "  max_interval: 30s",
        "  max_elapsed_time: 0s",
        "sending_queue:",
        f"  storage: {QUEUE.name}",
        "  sizer: bytes",
        f"  queue_size: {QUEUE_BYTES}",
        *(["  block_on_overflow: true"] if block else []),
        "  # One request at a time: order is kept, and at most one is sent twice after SIGKILL.",
        "  num_consumers: 1",
        "  # In place of the processor batch, which holds in memory what it has confirmed already.",
        "  batch:",
        f"    flush_timeout: {seconds}",
        f"    min_size: {batch_bytes}",
        f"    max_size: {batch_bytes}",
    ]
