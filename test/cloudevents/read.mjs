// Reads the records with the JavaScript SDK's Kafka binding, by the lines of
// docs/cloudevents.md, and compares each with the event that was sent, by any SDK.
//
// Where the SDK (10.0.0) deviates from the specification:
//
// - it adds the record's key to the event as the extension partitionkey
//   (dist/message/kafka/index.js); §3.1 of the Kafka binding (1.0.3) says that a key
//   must not add an attribute. The record has none;
// - times lose what is below a millisecond, and numbers what a double cannot hold;
//   the record has both unchanged, which is checked too.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { Kafka, logLevel } from "kafkajs";

const { GATEWAY_TEST_KAFKA, OUT, RUN } = process.env;
const { eventOf } = await import(`${OUT}/read-snippet.mjs`); // taken from docs/cloudevents.md
const client = new Kafka({ clientId: RUN, brokers: [GATEWAY_TEST_KAFKA], logLevel: logLevel.ERROR });

// recordsOf is all records that the topics have now, by topic.
const recordsOf = async (topics) => {
  const admin = client.admin();
  await admin.connect();
  const left = new Map();
  for (const topic of topics) {
    for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
      if (Number(high) > Number(low)) left.set(`${topic}/${partition}`, Number(high));
    }
  }
  await admin.disconnect();
  const records = Object.fromEntries(topics.map((topic) => [topic, []]));
  const consumer = client.consumer({ groupId: `${RUN}-javascript` });
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`records are still to come: ${[...left.keys()]}`)), 60_000);
    consumer.run({
      eachMessage: async ({ topic, partition, message }) => {
        records[topic].push(message);
        const at = `${topic}/${partition}`;
        if (Number(message.offset) + 1 >= left.get(at)) left.delete(at);
        if (left.size === 0) { clearTimeout(timer); resolve(); }
      },
    }).catch(reject);
  });
  await consumer.disconnect();
  return records;
};

const canonical = (value) => (typeof value === "string" ? value : JSON.stringify(value));

const expected = (entry) => {
  const attributes = { datacontenttype: "application/json", ...entry.attributes };
  attributes.time = new Date(attributes.time).toISOString();
  return entry.content_mode === "structured" ? attributes
    : Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, canonical(value)]));
};

const attributesOf = (event) => Object.fromEntries(Object.entries(event).filter(([name, value]) =>
  value !== undefined && name !== "data" && name !== "data_base64"));

const compare = (record, entry) => {
  const value = record.value.toString();
  if (entry.content_mode === "binary") assert.equal(value, entry.text);
  else assert.ok(value.endsWith(`,"data":${entry.text}}`), value);
  assert.equal(record.headers.ce_time.toString(), entry.attributes.time);
  const event = eventOf(record);
  assert.deepEqual(attributesOf(event), expected(entry));
  // In binary mode the SDK parses application/json only.
  const parses = entry.content_mode === "structured" || event.datacontenttype.startsWith("application/json");
  assert.deepEqual(event.data, parses ? JSON.parse(entry.text) : entry.text);
};

const entries = new Map();
for (const name of readdirSync(OUT).filter((each) => each.startsWith("sent-"))) {
  for (const entry of JSON.parse(readFileSync(`${OUT}/${name}`, "utf8"))) entries.set(`${entry.attributes.source} ${entry.attributes.id}`, entry);
}
const total = entries.size;
const records = await recordsOf([`${RUN}.binary`, `${RUN}.structured`, `${RUN}.snippets`, `${RUN}.unencoded`]);
for (const contentMode of ["binary", "structured"]) {
  for (const record of records[`${RUN}.${contentMode}`]) {
    const name = `${record.headers.ce_source} ${record.headers.ce_id}`;
    const entry = entries.get(name);
    assert.equal(entry?.content_mode, contentMode, `${name} was not sent`);
    entries.delete(name);
    compare(record, entry);
  }
}
assert.deepEqual([...entries.keys()], [], "have no record");
console.log(`${total} records are the events that went in`);

const found = {};
for (const record of records[`${RUN}.snippets`]) {
  const event = eventOf(record);
  assert.equal(record.headers.ce_partitionkey, undefined);
  assert.equal(event.partitionkey, record.key.toString(), "the SDK no longer adds the key");
  assert.equal(event.data.orderId, record.key.toString());
  found[event.id] = event.data.reason;
}
assert.deepEqual(found, { "o-10492-cancelled": "out-of-stock", "o-10493-cancelled": "out-of-stock", 1: "fraud-suspected" });

// send.mjs sent the subject 50%25 as the SDK writes it.
assert.deepEqual(records[`${RUN}.unencoded`].map((record) => record.headers.ce_subject.toString()), ["50%"]);
