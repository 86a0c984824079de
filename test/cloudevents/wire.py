"""Sends a time with nanoseconds, which no SDK can."""

import json
import os

import requests

url = os.environ["GATEWAY_URL"] + "/v1/events"
sent = []
for content_mode in ("binary", "structured"):
    for mode in ("binary", "structured"):
        attributes = {
            "specversion": "1.0", "id": "nanoseconds", "source": f"/{os.environ['RUN']}/wire/{mode}/{content_mode}",
            "type": f"conformance.{content_mode}", "time": "2026-11-23T10:02:11.123456789+05:30", "datacontenttype": "application/json",
        }
        text = '{"n":1}'
        if mode == "binary":
            headers = {f"ce-{name}": value for name, value in attributes.items() if name != "datacontenttype"}
            answer = requests.post(url, headers={**headers, "Content-Type": "application/json"}, data=text, timeout=60)
        else:
            body = json.dumps(attributes)[:-1] + ',"data":' + text + "}"
            answer = requests.post(url, headers={"Content-Type": "application/cloudevents+json"}, data=body, timeout=60)
        assert answer.status_code == 202, answer.text
        sent.append({"mode": mode, "content_mode": content_mode, "attributes": attributes, "text": text})
with open(os.path.join(os.environ["OUT"], "sent-wire.json"), "w", encoding="utf-8") as file:
    json.dump(sent, file)
print(f"{len(sent)} events sent")
