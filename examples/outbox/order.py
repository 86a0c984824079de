"""Places an order and writes its event in one transaction: either both are there, or neither.

    pip install "psycopg[binary]"
    SHOP_DSN=postgres://... python3 order.py o-1002
"""

import json
import os
import sys
from datetime import datetime, timezone

import psycopg


def place_order(conn: psycopg.Connection, order_id: str, customer_id: str) -> None:
    event = {
        "orderId": order_id,
        "customerId": customer_id,
        "currency": "EUR",
        "items": [{"sku": "TEA-250G", "quantity": 2, "unitPrice": 1290}],
        "placedAt": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
    }
    with conn.transaction():
        # Locks the order first: whoever changes the same order next waits here, so that the
        # events of one order are published in the order of their commits.
        conn.execute("INSERT INTO orders (id, customer) VALUES (%s, %s)", (order_id, customer_id))
        conn.execute(
            "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES (%s, %s, %s, %s)",
            ("orders", order_id, "orders.placed", json.dumps(event)),
        )


if __name__ == "__main__":
    with psycopg.connect(os.environ["SHOP_DSN"]) as connection:
        place_order(connection, sys.argv[1], "c-318")
    print("placed", sys.argv[1])
