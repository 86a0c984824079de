"""Removes this run's topics: the broker may be one that stays up."""

import os

from confluent_kafka.admin import AdminClient

admin = AdminClient({"bootstrap.servers": os.environ["GATEWAY_TEST_KAFKA"]})
topics = [f"{os.environ['RUN']}.{name}" for name in ("binary", "structured", "unencoded", "snippets")]
for future in admin.delete_topics(topics).values():
    future.result(60)
