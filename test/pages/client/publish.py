"""A program that uses a package generated from the served /openapi.json."""

import os
import uuid

from gateway_client import Client
from gateway_client.api.orders import publish_orders_placed_v1
from gateway_client.api.payments import publish_payments_captured_v1
from gateway_client.models import (
    EventInvalidProblem,
    OrdersPlacedV1,
    PaymentsCapturedV1,
    Receipt,
)

client = Client(base_url=os.environ["GATEWAY_URL"])
order = {
    "orderId": "o-py",
    "customerId": "c-1",
    "currency": "EUR",
    "items": [{"sku": "TEA", "quantity": 1, "unitPrice": 1290}],
    "placedAt": "2026-11-23T09:15:30Z",
}


def publishes_the_newest_version() -> None:
    key = str(uuid.uuid4())
    body = OrdersPlacedV1.from_dict(order)
    first = publish_orders_placed_v1.sync_detailed(client=client, body=body, idempotency_key=key)
    assert first.status_code == 202, first
    receipt = first.parsed
    assert isinstance(receipt, Receipt), receipt
    assert (receipt.type_, receipt.version, receipt.topic, receipt.key) == ("orders.placed", "v1", "orders.placed", "o-py")
    assert receipt.partition >= 0 and receipt.offset >= 0 and receipt.time.tzinfo
    again = publish_orders_placed_v1.sync_detailed(client=client, body=body, idempotency_key=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.parsed == receipt


def publishes_an_older_version() -> None:
    body = PaymentsCapturedV1(payment_id="p-py", order_id="o-py", amount=1290, currency="EUR")
    receipt = publish_payments_captured_v1.sync(client=client, body=body, idempotency_key=str(uuid.uuid4()))
    assert isinstance(receipt, Receipt) and receipt.version == "v1", receipt


def gets_a_problem() -> None:
    body = OrdersPlacedV1.from_dict(order | {"currency": "euro"})
    problem = publish_orders_placed_v1.sync(client=client, body=body)
    assert isinstance(problem, EventInvalidProblem), problem
    assert (problem.status, problem.outcome, problem.retryable) == (422, "not-written", False)
    assert problem.type_ == "/problems/schema-violation"
    assert [(each.pointer, each.keyword) for each in problem.errors] == [("/currency", "pattern")]


publishes_the_newest_version()
publishes_an_older_version()
gets_a_problem()
print("Python: a receipt, a replay, an older version and a problem, all as typed")
