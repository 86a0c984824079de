"""Reads the records with the Python SDK's Kafka binding, by the lines of
docs/cloudevents.md, and compares each with the event that was sent, by any SDK.

Where the SDK (2.2.0) deviates from the specification:

- from_kafka_event takes a record with any ce_ header for binary mode. By the Kafka
  binding, §3 and §3.3.3, the content type decides, and structured records may have
  those headers. So the lines of the page look at the content type;
- it adds the record's key to the event as the extension partitionkey; §3.1 of the
  binding (1.0.3) says that a key must not add an attribute. The record has none.
"""

import glob
import json
import os
import sys

from cloudevents.core.bindings import kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from dateutil.parser import isoparse

sys.path.insert(0, os.environ["OUT"])
from read_snippet import event_of  # noqa: E402  taken from docs/cloudevents.md

run = os.environ["RUN"]
consumer = Consumer({"bootstrap.servers": os.environ["GATEWAY_TEST_KAFKA"], "group.id": f"{run}-python", "enable.auto.commit": False})


def records_of(topic: str) -> list:
    """All records that the topic has now."""
    partitions = [TopicPartition(topic, p, OFFSET_BEGINNING) for p in consumer.list_topics(topic, 30).topics[topic].partitions]
    left = {}
    for partition in partitions:
        low, high = consumer.get_watermark_offsets(partition, 30)
        if high > low:
            left[partition.partition] = high
    consumer.assign(partitions)
    records = []
    while left:
        record = consumer.poll(60)
        assert record is not None, f"records of {topic} are still to come: {left}"
        assert record.error() is None, record.error()
        records.append(record)
        if record.offset() + 1 >= left.get(record.partition(), 0):
            left.pop(record.partition(), None)
    return records


def expected(entry: dict) -> dict:
    attributes = {"datacontenttype": "application/json", **entry["attributes"]}
    if entry["content_mode"] == "binary":  # has text only
        attributes = {name: value if isinstance(value, str) else json.dumps(value) for name, value in attributes.items()}
    return {**attributes, "time": isoparse(attributes["time"])}


def compare(record, entry: dict) -> None:
    headers = dict(record.headers())
    value = record.value().decode()
    if entry["content_mode"] == "binary":
        assert value == entry["text"], value
    else:
        assert value.endswith(',"data":' + entry["text"] + "}"), value
    assert headers["ce_time"].decode() == entry["attributes"]["time"], headers
    event = event_of(record)
    assert event.get_attributes() == expected(entry), f"{event.get_attributes()}\n{expected(entry)}"
    assert event.get_data() == json.loads(entry["text"]), event.get_data()


def compare_all() -> int:
    entries = {}
    for name in glob.glob(os.path.join(os.environ["OUT"], "sent-*.json")):
        with open(name, encoding="utf-8") as file:
            for entry in json.load(file):
                entries[entry["attributes"]["source"], entry["attributes"]["id"]] = entry
    total = len(entries)
    for content_mode in ("binary", "structured"):
        for record in records_of(f"{run}.{content_mode}"):
            headers = dict(record.headers())
            entry = entries.pop((headers["ce_source"].decode(), headers["ce_id"].decode()))
            assert entry["content_mode"] == content_mode
            compare(record, entry)
            picked = kafka.from_kafka_event(kafka.KafkaMessage(headers, record.key(), record.value()))
            assert (picked.get_data() == json.loads(entry["text"])) == (content_mode == "binary"), "from_kafka_event goes by the content type now"
    assert not entries, f"no record of {list(entries)}"
    return total


def compare_snippets() -> None:
    """The lines of the page have published two orders."""
    found = {}
    for record in records_of(f"{run}.snippets"):
        event = event_of(record)
        assert "ce_partitionkey" not in dict(record.headers())
        assert event.get_extension("partitionkey") == record.key().decode(), "the SDK no longer adds the key"
        assert record.key().decode() == event.get_data()["orderId"]
        found[event.get_id()] = event.get_data()["reason"]
    assert found == {"o-10492-cancelled": "out-of-stock", "o-10493-cancelled": "out-of-stock", "1": "fraud-suspected"}, found


print(f"{compare_all()} records are the events that went in")
compare_snippets()
consumer.close()
