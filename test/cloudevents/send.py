"""Sends the events of events.json with the official Python SDK, in every mode.

Where the SDK (2.2.0) deviates from the specification:

- its binary mode writes booleans as "True" and "False"; CloudEvents §3.1 says
  "true" and "false" (cloudevents/core/bindings/http.py, _encode_header_value: str(value));
- its times have six digits of a second, so wire.py sends nine without it.
It has no batches: a batch is the list of its structured bodies.
"""

import json
import os
from urllib.parse import unquote

import requests
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent
from dateutil.parser import isoparse

url = os.environ["GATEWAY_URL"] + "/v1/events"
run = os.environ["RUN"]
with open("events.json", encoding="utf-8") as file:
    vectors = json.load(file)
sent = []


def new_event(vector: dict, mode: str, content_mode: str) -> CloudEvent:
    attributes = {
        "id": vector["name"],
        "source": f"/{run}/python/{mode}/{content_mode}",
        "type": f"conformance.{content_mode}",
        **vector["attributes"],
    }
    if "time" in attributes:
        attributes["time"] = isoparse(attributes["time"])
    return CloudEvent(attributes, vector["text"].encode() if "text" in vector else vector["value"])


def text_of(value) -> str:
    """An attribute's value as the SDK's binary mode writes it."""
    return str(value)


def remember(event: CloudEvent, mode: str, content_mode: str, body: bytes) -> None:
    """Keeps what went in; body is the event in the mode binary or structured."""
    attributes = dict(event.get_attributes())
    attributes["time"] = attributes["time"].isoformat().replace("+00:00", "Z")
    data = event.get_data()
    if mode == "binary":
        attributes = {name: text_of(value) for name, value in attributes.items()}
        text = body.decode()
    else:
        text = data.decode() if isinstance(data, bytes) else json.dumps(data)
        assert isinstance(data, bytes) or f'"data": {text}'.encode() in body
    sent.append({"mode": mode, "content_mode": content_mode, "attributes": attributes, "text": text})


def post(message: http.HTTPMessage) -> requests.Response:
    answer = requests.post(url, headers=message.headers, data=message.body, timeout=60)
    assert answer.status_code == 202, f"{answer.status_code} {answer.text}"
    return answer


def send(event: CloudEvent, mode: str, content_mode: str) -> None:
    message = http.to_binary_event(event) if mode == "binary" else http.to_structured_event(event)
    if mode == "binary":
        for name, value in event.get_attributes().items():
            if name not in ("time", "datacontenttype"):
                assert unquote(message.headers[f"ce-{name}"]) == text_of(value)
    receipt = post(message).json()
    assert receipt["id"] == event.get_id(), receipt
    remember(event, mode, content_mode, message.body)


def send_batch(events: list[CloudEvent], content_mode: str) -> None:
    bodies = [http.to_structured_event(event).body for event in events]
    headers = {"content-type": "application/cloudevents-batch+json"}
    answer = post(http.HTTPMessage(headers, b"[" + b",".join(bodies) + b"]"))
    items = answer.json()["items"]
    assert [item["receipt"]["id"] for item in items] == [event.get_id() for event in events], items
    for event, body in zip(events, bodies):
        remember(event, "batch", content_mode, body)
    again = post(http.HTTPMessage(headers, b"[" + b",".join(bodies) + b"]"))
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == answer.json()


for content_mode in ("binary", "structured"):
    for mode in ("binary", "structured"):
        for vector in vectors:
            send(new_event(vector, mode, content_mode), mode, content_mode)
    send_batch([new_event(vector, "batch", content_mode) for vector in vectors], content_mode)
with open(os.path.join(os.environ["OUT"], "sent-python.json"), "w", encoding="utf-8") as file:
    json.dump(sent, file)
print(f"{len(sent)} events sent")
