"""Tells schemathesis what an API description cannot express: whether a request is valid
depends on earlier requests, and on how headers are encoded."""
import itertools
import re
import uuid

import schemathesis
from schemathesis.generation import GenerationMode

run = uuid.uuid4().hex[:12]
count = itertools.count()


def once(value):
    """The same key with other data is refused, as it should be: each value becomes unique."""
    quote = '"' if value.startswith('"') else ""
    return f"{quote}{value.strip(quote)[:100].rstrip(chr(92))}-{run}-{next(count)}{quote}"


@schemathesis.hook
def before_call(ctx, case, kwargs):
    if case.method not in ("POST", "DELETE") or case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    headers = case.headers or {}
    for name in ("Idempotency-Key", "ce-id"):
        value = headers.get(name)
        if isinstance(value, str):
            headers[name] = once(value)
    # Percent-encoded UTF-8 without control characters, and a URI reference.
    for name, wrong in ("ce-id", r'[\x00-\x1f%"\x7f-\x9f]'), ("ce-subject", r'[\x00-\x1f%"\x7f-\x9f]'), ("ce-source", r"[^A-Za-z0-9/._-]"):
        value = headers.get(name)
        if isinstance(value, str):
            headers[name] = re.sub(wrong, "-", value)
    if "ce-time" in headers:  # which years have a 29 February is more than a pattern can say
        headers["ce-time"] = "2026-11-23T09:15:30Z"
    if "payments.captured" in case.path and not {"Idempotency-Key", "ce-id"} & set(headers):
        headers["Idempotency-Key"] = once("needed")  # one of the two
    case.headers = headers
