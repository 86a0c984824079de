// Pages of other origins, in a real browser: one that http.cors.origins names, and one
// that it does not.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { openBrowser } from "./browser.mjs";

const { GATEWAY_URL: gateway, OPEN_GATEWAY_URL: open, GATEWAY_KEY: key, ALLOWED_PORT, OTHER_PORT } = process.env;
const cancelled = { orderId: "o-10492", reason: "customer-request", cancelledAt: "2026-11-23T09:15:30Z" };

let browser;
const servers = [];
const serve = (port) => new Promise((resolve) => {
  const server = createServer((request, response) => response.setHeader("Content-Type", "text/html").end("<!doctype html><title>A shop</title>"));
  servers.push(server);
  server.listen(port, "127.0.0.1", resolve);
});
before(async () => {
  await serve(ALLOWED_PORT);
  await serve(OTHER_PORT);
  browser = await openBrowser();
});
after(async () => {
  await browser.close();
  for (const server of servers) server.close();
});

async function shop(port) {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${port}/`);
  return page;
}

// send is fetch in the page, and everything that the page can see of the answer.
const send = (page, url, init) => page.evaluate(async ({ url, init }) => {
  try {
    const answer = await fetch(url, init);
    return { status: answer.status, type: answer.type, body: await answer.text(), headers: Object.fromEntries(answer.headers) };
  } catch (error) {
    return { error: error.name };
  }
}, { url, init });

const event = (idempotencyKey, body = cancelled) => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: {
    "Authorization": `Bearer ${key}`, "Content-Type": "application/json", "Idempotency-Key": idempotencyKey, "ce-subject": "cancelled", "ce-shop": "berlin",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  },
});
const orders = `${gateway}/v1/events/orders.cancelled`;

test("a page of an allowed origin posts, and reads receipts and problems", async () => {
  const page = await shop(ALLOWED_PORT);
  const first = await send(page, orders, event("page-1"));
  assert.equal(first.status, 202, JSON.stringify(first));
  assert.equal(JSON.parse(first.body).topic, "orders.cancelled");
  assert.equal(first.headers["ratelimit-policy"], '"client";q=3000;w=60');
  assert.match(first.headers.ratelimit, /^"client";r=\d+;t=1$/);

  const again = await send(page, orders, event("page-1"));
  assert.equal(again.body, first.body);
  assert.equal(again.headers["idempotent-replayed"], "true", "the header is exposed");

  const bad = await send(page, orders, event("page-2", {}));
  assert.equal(bad.status, 422);
  assert.equal(JSON.parse(bad.body).type, "/problems/schema-violation");

  const unknown = event("page-3");
  unknown.headers.Authorization = "Bearer gwk_wrong";
  assert.equal((await send(page, orders, unknown)).status, 401, "refusals can be read, too");

  const receipt = await send(page, `${gateway}/v1/receipts?idempotency_key=page-1`, { headers: { Authorization: `Bearer ${key}` } });
  assert.equal(receipt.body, first.body);
});

test("a CloudEvent goes where the web hook's handshake is", async () => {
  const page = await shop(ALLOWED_PORT);
  const answer = await send(page, `${gateway}/v1/events`, {
    method: "POST", headers: { "Authorization": `Bearer ${key}`, "Content-Type": "application/cloudevents+json" },
    body: JSON.stringify({ specversion: "1.0", id: "page-4", source: "/shop", type: "orders.cancelled", data: cancelled }),
  });
  assert.equal(answer.status, 202, JSON.stringify(answer));
});

test("what a route does not have, a page may not ask for", async () => {
  const page = await shop(ALLOWED_PORT);
  assert.deepEqual(await send(page, orders, { method: "DELETE", headers: { Authorization: `Bearer ${key}` } }), { error: "TypeError" });
});

test("a page of another origin sees nothing and writes nothing", async () => {
  const page = await shop(OTHER_PORT);
  const statuses = [];
  page.on("response", (response) => { if (response.request().method() === "POST") statuses.push(response.status()); });
  assert.deepEqual(await send(page, orders, event("other-1")), { error: "TypeError" });
  assert.deepEqual(statuses, [], "the browser asked first, and was not allowed to");
  assert.deepEqual(await send(page, `${gateway}/problems`, {}), { error: "TypeError" }, "not even what everybody may see");

  // A body without a type needs no preflight: the gateway itself must refuse it, even one
  // without authentication.
  const blind = await page.evaluate(async ({ url, data }) => {
    const answer = await fetch(url, { method: "POST", mode: "no-cors", body: new Blob([data]) });
    return answer.type;
  }, { url: `${open}/v1/events/orders.cancelled`, data: JSON.stringify(cancelled) });
  assert.equal(blind, "opaque");
  assert.deepEqual(statuses, [403]);
  const written = await fetch(`${gateway}/v1/receipts?idempotency_key=other-1`, { headers: { Authorization: `Bearer ${key}` } });
  assert.equal(written.status, 404);
});

test("a page of the gateway itself posts without being configured", async () => {
  const page = await browser.newPage();
  await page.goto(`${open}/problems`, { waitUntil: "load" });
  const { Authorization, ...headers } = event("own-1").headers;
  const answer = await send(page, "/v1/events/orders.cancelled", { ...event("own-1"), headers });
  assert.equal(answer.status, 202, JSON.stringify(answer));
});
