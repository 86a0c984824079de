// Receives events that a subscription pushes, and keeps the newest state of each order.
//
// It needs Node.js 18 and nothing else. It verifies the Standard Webhooks signature. An
// event says what its order is now, so the service writes that over what it has, unless it
// has the same or something newer: `sequence` grows within an entity. Delivered again, an
// event changes nothing.
//
//   WEBHOOK_SECRETS="whsec_..." PORT=9000 JOURNAL=orders.jsonl node receiver.mjs
//
// A service with a database does the same in one statement:
//
//   insert into orders (id, sequence, state) values ($1, $2, $3)
//   on conflict (id) do update set sequence = excluded.sequence, state = excluded.state
//   where orders.sequence < excluded.sequence

import { createHmac, timingSafeEqual } from "node:crypto";
import { constants, existsSync, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { createServer } from "node:http";

const toleranceSeconds = 300; // between the clocks of the gateway and of this service
const maxBodyBytes = 2 << 20;

// While a secret is being changed there are two, with a space between.
const secrets = (process.env.WEBHOOK_SECRETS ?? "").split(/\s+/).filter(Boolean)
  .map((s) => Buffer.from(s.replace(/^whsec_/, ""), "base64"));
if (secrets.length === 0) {
  throw new Error("WEBHOOK_SECRETS is empty: write the secrets of the subscription");
}

/** Whether the gateway has signed the body, a short time ago. */
function verified(headers, body) {
  const timestamp = headers["webhook-timestamp"] ?? "";
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > toleranceSeconds) {
    return false;
  }
  const signed = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${timestamp}.`), body]);
  const right = secrets.map((s) => createHmac("sha256", s).update(signed).digest());
  return (headers["webhook-signature"] ?? "").split(" ").some((signature) => {
    const [version, text = ""] = signature.split(",", 2);
    const given = Buffer.from(text, "base64");
    return version === "v1" && right.some((r) => r.length === given.length && timingSafeEqual(r, given));
  });
}

/** The newest state of each order, in memory and in a journal with a line for each change. */
class Orders {
  #states = new Map();
  #journal;
  #end = 0; // of the journal's last whole line
  #writing = Promise.resolve();

  static async load(file) {
    const orders = new Orders();
    if (existsSync(file)) {
      const text = readFileSync(file);
      orders.#end = text.lastIndexOf("\n") + 1; // what follows was being written when the process died
      for (const line of text.subarray(0, orders.#end).toString().split("\n").filter(Boolean)) {
        const order = JSON.parse(line);
        orders.#states.set(order.id, order);
      }
    }
    orders.#journal = await open(file, constants.O_RDWR | constants.O_CREAT);
    await orders.#journal.truncate(orders.#end);
    return orders;
  }

  /** Applies an event, one at a time; it is on the disk when the promise is fulfilled. */
  apply(order) {
    const next = this.#writing.then(() => this.#apply(order));
    this.#writing = next.catch(() => {});
    return next;
  }

  async #apply(order) {
    // Sequences are decimal numbers of one length: as texts they compare as they should.
    if ((this.#states.get(order.id)?.sequence ?? "") >= order.sequence) {
      return;
    }
    const line = Buffer.from(JSON.stringify(order) + "\n");
    for (let at = 0; at < line.length;) {
      at += (await this.#journal.write(line, at, line.length - at, this.#end + at)).bytesWritten;
    }
    await this.#journal.datasync();
    this.#end += line.length; // a line that could not be written is written over
    this.#states.set(order.id, order);
  }

  all() {
    return Object.fromEntries([...this.#states].map(([id, { state }]) => [id, state]));
  }
}

async function read(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    if ((size += part.length) > maxBodyBytes) {
      return undefined;
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** The order that an event has, or undefined if it has none. */
function parse(body) {
  try {
    const { partitionkey: id, sequence, data } = JSON.parse(body.toString());
    if (typeof id === "string" && /^\d{20}$/.test(sequence) && data !== null && typeof data === "object") {
      return { id, sequence, state: data };
    }
  } catch {
    // not JSON
  }
  return undefined;
}

/** The status to answer with. */
async function receive(request, orders) {
  const body = await read(request);
  if (body === undefined) {
    return 413;
  }
  if (!verified(request.headers, body)) {
    return 401; // not 400: the gateway tries again, and nothing is lost while a secret is wrong
  }
  const order = parse(body);
  if (order === undefined) {
    return 422; // no retry can help: the event becomes a dead letter
  }
  await orders.apply(order);
  return 204;
}

const orders = await Orders.load(process.env.JOURNAL ?? "orders.jsonl");
const server = createServer((request, response) => {
  if (request.method === "GET") {
    response.end(JSON.stringify(orders.all()));
    return;
  }
  receive(request, orders).catch((error) => {
    console.error("the event could not be stored:", error.message);
    return 500; // the gateway tries again
  }).then((status) => {
    response.writeHead(status, status === 413 ? { connection: "close" } : {});
    response.end();
  });
});
server.listen(Number(process.env.PORT ?? 9000), "127.0.0.1", () => {
  console.log(`listening on ${server.address().port}`);
});
