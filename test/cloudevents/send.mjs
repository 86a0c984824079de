// Sends the events of events.json with the official JavaScript SDK, in every mode.
//
// Where the SDK (10.0.0) deviates from the specification:
//
// - its binary mode does not percent-encode header values, as the HTTP binding
//   1.0.2 §3.1.3.2 demands (dist/message/http/headers.js, headersFor). The test
//   shows the effect, and encodes them itself;
// - it writes times with three digits of a second and in UTC, so wire.py sends nine.
// It writes no batches: a batch is a list of its events as JSON.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { CloudEvent, HTTP } from "cloudevents";

const { GATEWAY_URL, OUT, RUN } = process.env;
const vectors = JSON.parse(readFileSync("events.json", "utf8"));
const sent = [];

const newEvent = (vector, mode, contentMode) => new CloudEvent({
  id: vector.name, source: `/${RUN}/javascript/${mode}/${contentMode}`, type: `conformance.${contentMode}`,
  ...vector.attributes, data: "text" in vector ? Buffer.from(vector.text) : vector.value,
});

const post = (headers, body) => fetch(`${GATEWAY_URL}/v1/events`, { method: "POST", headers, body });

const accepted = async (answer) => {
  const text = await answer.text();
  assert.equal(answer.status, 202, text);
  return JSON.parse(text);
};

// encoded percent-encodes headers, as the SDK should.
const encoded = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) =>
  [name, name.startsWith("ce-") ? String(value).replace(/[^\x21-\x7e]|["%]/gu, encodeURIComponent) : value]));

// remember keeps an event that was sent.
const remember = (event, mode, contentMode, wire) => {
  const attributes = {};
  for (const [name, value] of Object.entries(event)) {
    if (value !== undefined && !name.startsWith("data_") && name !== "data") attributes[name] = mode === "binary" ? String(value) : value;
  }
  attributes.time = new Date(event.time).toISOString();
  if (mode === "binary") attributes.datacontenttype = wire.headers["content-type"]; // it has a default
  const text = Buffer.isBuffer(event.data) ? event.data.toString() : JSON.stringify(event.data);
  sent.push({ mode, content_mode: contentMode, attributes, text });
};

const send = async (event, mode, contentMode) => {
  const message = mode === "binary" ? HTTP.binary(event) : HTTP.structured(event);
  const receipt = await accepted(await post(mode === "binary" ? encoded(message.headers) : message.headers, message.body));
  assert.equal(receipt.id, event.id);
  remember(event, mode, contentMode, message);
};

const sendBatch = async (events, contentMode) => {
  const body = `[${events.map((event) => HTTP.structured(event).body).join(",")}]`;
  const { items } = await accepted(await post({ "content-type": "application/cloudevents-batch+json" }, body));
  assert.deepEqual(items.map((item) => item.receipt.id), events.map((event) => event.id));
  for (const event of events) remember(event, "batch", contentMode);
};

// unencoded shows the effect of headers as the SDK writes them.
const unencoded = async () => {
  const withSubject = (subject) => HTTP.binary(new CloudEvent({
    id: subject, source: `/${RUN}/unencoded`, type: "conformance.unencoded", subject, datacontenttype: "application/json", data: {},
  }));
  const percent = withSubject("100 % of it");
  assert.equal(percent.headers["ce-subject"], "100 % of it", "the SDK encodes headers now: encoded is not needed any more");
  const answer = await post({ ...percent.headers, "ce-id": "1" }, percent.body);
  assert.equal(answer.status, 400);
  assert.match((await answer.json()).detail, /ce-subject is not percent-encoded/);
  const latin = withSubject("Grüße"); // fetch sends Latin-1
  assert.equal((await post({ ...latin.headers, "ce-id": "2" }, latin.body)).status, 400);
  const escape = withSubject("50%25"); // read.mjs finds it changed
  await accepted(await post(escape.headers, escape.body));
  assert.throws(() => new Headers(withSubject("世界").headers), TypeError);
};

await unencoded();
for (const contentMode of ["binary", "structured"]) {
  for (const mode of ["binary", "structured"]) {
    for (const vector of vectors) await send(newEvent(vector, mode, contentMode), mode, contentMode);
  }
  await sendBatch(vectors.map((vector) => newEvent(vector, "batch", contentMode)), contentMode);
}
writeFileSync(`${OUT}/sent-javascript.json`, JSON.stringify(sent));
console.log(`${sent.length} events sent`);
