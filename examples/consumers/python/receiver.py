"""Receives events that a subscription pushes, and counts each of them once.

It needs Python 3.9 and nothing else. It verifies the Standard Webhooks signature, and
remembers the id of each event in the same transaction as its effect, so that an event that
is delivered again changes nothing.

    WEBHOOK_SECRETS="whsec_..." PORT=9000 DATABASE=totals.db python3 receiver.py
"""

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_SECONDS = 300  # between the clocks of the gateway and of this service
MAX_BODY_BYTES = 2 << 20

# While a secret is being changed there are two, with a space between.
SECRETS = [base64.b64decode(s.removeprefix("whsec_")) for s in os.environ["WEBHOOK_SECRETS"].split()]
if not SECRETS:
    raise SystemExit("WEBHOOK_SECRETS is empty: write the secrets of the subscription")


def connect():
    db = sqlite3.connect(os.environ.get("DATABASE", "totals.db"), timeout=30, isolation_level=None)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")  # an event that was answered with 2xx survives a power failure
    return db


def create_tables():
    db = connect()
    db.execute("create table if not exists handled (webhook_id text primary key, at integer not null)")
    db.execute("create index if not exists handled_at on handled (at)")
    db.execute("create table if not exists totals (entity text primary key, total integer not null)")
    db.close()


def verified(headers, body):
    """Whether the gateway has signed the body, a short time ago."""
    event_id, timestamp = headers.get("Webhook-Id", ""), headers.get("Webhook-Timestamp", "")
    if not timestamp.isascii() or not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    signed = f"{event_id}.{timestamp}.".encode() + body
    for signature in headers.get("Webhook-Signature", "").split():
        version, _, given = signature.partition(",")
        for secret in SECRETS:
            right = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest())
            if version == "v1" and hmac.compare_digest(right, given.encode()):
                return True
    return False


def handle(webhook_id, event):
    """Adds the amount of an order to its customer's total, once for each event.

    The id is written first: of two deliveries at the same time, the second waits here until
    the first is committed, and then finds its id.
    """
    db = connect()
    try:
        db.execute("begin immediate")
        new = db.execute("insert or ignore into handled values (?, ?)", (webhook_id, int(time.time()))).rowcount
        if new:
            db.execute(
                "insert into totals values (?, ?) on conflict (entity) do update set total = total + excluded.total",
                (event["partitionkey"], event["data"]["amount"]),
            )
            # Rows are needed as long as a delivery of their event may come again.
            db.execute("delete from handled where at < ?", (int(time.time()) - 30 * 24 * 3600,))
        db.execute("commit")
    finally:
        db.close()  # rolls back what is not committed


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections
    timeout = 60

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(int(length))
        if not verified(self.headers, body):
            # 401, not 400: the gateway tries again, and nothing is lost while a secret is wrong.
            return self.answer(401)
        try:
            event = json.loads(body)
            entity, amount = event["partitionkey"], event["data"]["amount"]
            valid = isinstance(entity, str) and type(amount) is int
        except (ValueError, KeyError, TypeError):
            valid = False
        if not valid:
            return self.answer(422)  # no retry can help: the event becomes a dead letter
        try:
            handle(self.headers["Webhook-Id"], event)
        except sqlite3.Error as error:
            self.log_error("the event could not be stored: %s", error)
            return self.answer(500)  # the gateway tries again
        self.answer(204)

    def do_GET(self):
        db = connect()
        totals = dict(db.execute("select entity, total from totals"))
        db.close()
        self.answer(200, json.dumps(totals).encode())

    def answer(self, status, body=b""):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code="-", size="-"):
        pass  # one line for each event is too much


if __name__ == "__main__":
    create_tables()
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Receiver)
    print(f"listening on {server.server_address[1]}", flush=True)
    server.serve_forever()
