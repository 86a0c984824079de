// A program that uses types generated from the served /openapi.json. It is compiled
// strictly, then run, so the types must be correct.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./openapi.js";

type Receipt = components["schemas"]["Receipt"];

const baseUrl = process.env["GATEWAY_URL"];
assert.ok(baseUrl);
const client = createClient<paths>({ baseUrl });
const key = () => ({ "Idempotency-Key": crypto.randomUUID() });

const placedAt = "2026-11-23T09:15:30Z";
const order = { orderId: "o-ts", customerId: "c-1", currency: "EUR", items: [{ sku: "TEA", quantity: 1, unitPrice: 1290 }], placedAt };

async function publishesTheNewestVersion() {
  const header = key();
  const first = await client.POST("/v1/events/orders.placed", { params: { header }, body: order });
  assert.equal(first.response.status, 202);
  assert.ok(first.data);
  const receipt: Receipt = first.data;
  const partition: number = receipt.partition;
  const offset: number = receipt.offset;
  const entity: string | null = receipt.key;
  assert.deepEqual([receipt.type, receipt.version, receipt.topic, entity], ["orders.placed", "v1", "orders.placed", "o-ts"]);
  assert.ok(partition >= 0 && offset >= 0);

  const again = await client.POST("/v1/events/orders.placed", { params: { header }, body: order });
  assert.equal(again.response.headers.get("Idempotent-Replayed"), "true");
  assert.deepEqual(again.data, receipt);
}

async function publishesAnOlderVersion() {
  const body = { paymentId: "p-ts", orderId: "o-ts", amount: 1290, currency: "EUR" };
  const { data, response } = await client.POST("/v1/events/payments.captured/v1", { params: { header: key() }, body });
  assert.equal(response.status, 202);
  assert.equal(data?.version, "v1");
}

async function getsAProblem() {
  const { error, response } = await client.POST("/v1/events/orders.placed", { params: { header: key() }, body: { ...order, currency: "euro" } });
  assert.equal(response.status, 422);
  assert.ok(error);
  if (error.status !== 422) assert.fail("the status tells problems apart");
  const kind: "/problems/schema-violation" | "/problems/key-missing" | "/problems/idempotency-key-reused" | undefined = error.type;
  const outcome: "not-written" | "unknown" = error.outcome;
  assert.deepEqual([kind, outcome, error.retryable], ["/problems/schema-violation", "not-written", false]);
  assert.deepEqual(error.errors?.map((each) => [each.pointer, each.keyword]), [["/currency", "pattern"]]);
}

// wrongEventsDoNotCompile is compiled, never run.
export function wrongEventsDoNotCompile() {
  const { currency, ...incomplete } = order;
  void currency;
  // @ts-expect-error a member is missing
  void client.POST("/v1/events/orders.placed", { body: incomplete });
  // @ts-expect-error a member is of another type
  void client.POST("/v1/events/orders.placed", { body: { ...order, orderId: 7 } });
  // @ts-expect-error there is no such version
  void client.POST("/v1/events/orders.placed/v9", { body: order });
  // @ts-expect-error version 2 wants a method
  void client.POST("/v1/events/payments.captured", { body: { paymentId: "p", orderId: "o", amount: 1, currency: "EUR" } });
}

await publishesTheNewestVersion();
await publishesAnOlderVersion();
await getsAProblem();
console.log("TypeScript: a receipt, a replay, an older version and a problem, all as typed");
