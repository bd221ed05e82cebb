"""``tidemark reload``: tells running workers to read the model specs anew."""

from __future__ import annotations

import click
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from config.errors import ServiceUnavailable
from config.settings import Settings, load_settings
from config.spec import read_specs

ANSWER_S = 10.0


def ask_reload(settings: Settings) -> None:
    """Put ``reload`` on the commands topic.

    Raises:
        ServiceUnavailable: the broker does not take it.
    """
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            refused.append(error)

    limits = {"message.timeout.ms": int(ANSWER_S * 1000), "log_level": 0}
    producer = Producer({"bootstrap.servers": settings.brokers, **limits})
    remedy = "start it (make up), or set TIDEMARK_BOOTSTRAP_SERVERS; `tidemark topics` makes a missing topic"
    try:
        producer.produce(settings.commands_topic, b"reload", on_delivery=delivered)
        left = producer.flush(ANSWER_S + 1)
    except KafkaException as error:
        raise ServiceUnavailable(f"the broker at {settings.brokers} takes no command: {error}", remedy) from error
    if refused or left:
        why = refused[0].str() if refused else "no answer"
        raise ServiceUnavailable(f"the broker at {settings.brokers} takes no command: {why}", remedy)


@click.command()
def reload() -> None:
    """Let running workers read the model specs anew, after `tidemark init` or a change of a spec."""
    settings = load_settings()
    specs = read_specs(settings)  # what workers would refuse is told here
    ask_reload(settings)
    click.echo(f"asked for: {', '.join(specs)}; `tidemark check` tells whether the worker has them, its log why not")


commands = [reload]
