// The pages are correct: each example can be sent, each line can be pasted, each receipt
// is as described.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { before, test } from "node:test";
import { promisify } from "node:util";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const gateway = process.env.GATEWAY_URL;
const run = promisify(execFile);
const ajv = addFormats(new Ajv({ strict: false, allErrors: true }));
let doc;
let valid; // of what the document says about a 202's body

const deref = (node) => (node.$ref ? node.$ref.slice(2).split("/").reduce((at, part) => at[decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~")], doc) : node);

before(async () => {
  doc = await (await fetch(`${gateway}/openapi.json`)).json();
  ajv.addSchema(doc, "openapi.json");
  valid = (operation, body) => {
    const { schema } = deref(operation.responses["202"]).content["application/json"];
    const check = ajv.compile({ $ref: `openapi.json${schema.$ref}` });
    assert.ok(check(body), `${JSON.stringify(body)}: ${ajv.errorsText(check.errors)}`);
  };
});

const published = () => Object.entries(doc.paths)
  .filter(([path]) => path.startsWith("/v1/events/") && !path.includes("{"))
  .map(([path, item]) => [path, item.post]);

test("every schema of the document is one, and its references lead somewhere", () => {
  for (const [name, schema] of Object.entries(doc.components.schemas)) {
    assert.ok(ajv.validateSchema(schema), `${name}: ${ajv.errorsText(ajv.errors)}`);
    ajv.compile({ $ref: `openapi.json#/components/schemas/${encodeURIComponent(name)}` });
  }
});

test("every example of every version is accepted, and its receipt is as described", async () => {
  const operations = published();
  const versions = (await (await fetch(`${gateway}/v1/event-types`)).json()).event_types.flatMap((each) => each.versions);
  assert.equal(operations.length, versions.length, "one operation for each version");
  let sent = 0;
  for (const [path, operation] of operations) {
    const examples = Object.entries(operation.requestBody.content["application/json"].examples ?? {});
    assert.ok(examples.length > 0, `${path} has an example`);
    for (const [name, { value }] of examples) {
      const answer = await fetch(gateway + path, {
        method: "POST", headers: { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() }, body: JSON.stringify(value),
      });
      const body = await answer.json();
      assert.equal(answer.status, 202, `${path}, ${name}: ${JSON.stringify(body)}`);
      valid(operation, body);
      sent++;
    }
  }
  assert.ok(sent >= operations.length);
});

test("the document's own examples of bodies are accepted", async () => {
  for (const [path, id] of [["/v1/events/{type}", "publishEvent"], ["/v1/events/{type}/{version}", "publishEventOfVersion"], ["/v1/event-types/{type}/validate", "validateEvent"]]) {
    const operation = doc.paths[path].post;
    assert.equal(operation.operationId, id);
    for (const [type, { value }] of Object.entries(operation.requestBody.content["application/json"].examples)) {
      const answer = await fetch(gateway + path.replace("{type}", type).replace("{version}", "v1"), {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value),
      });
      assert.equal(answer.status, id === "validateEvent" ? 200 : 202, `${id}: ${await answer.text()}`);
    }
  }
});

test("every curl line of the landing page works as pasted", async () => {
  const page = await (await fetch(`${gateway}/`, { headers: { Accept: "text/html" } })).text();
  const lines = [...page.matchAll(/<pre><code>(curl [\s\S]*?)<\/code><\/pre>/g)].map((match) => unescaped(match[1]));
  const { event_types: types } = await (await fetch(`${gateway}/v1/event-types`)).json();
  assert.equal(lines.length, types.length, "a line for each event type");
  for (const line of lines) {
    const { stdout } = await run("bash", ["-c", line]);
    assert.match(stdout, /^HTTP\/1\.1 202 /, line);
    const receipt = JSON.parse(stdout.slice(stdout.indexOf("\r\n\r\n")));
    valid(doc.paths[`/v1/events/${receipt.type}`].post, receipt);
  }
});

// unescaped undoes what html/template did.
function unescaped(html) {
  const named = { lt: "<", gt: ">", amp: "&", quot: '"' };
  return html.replace(/&(?:#(\d+)|(\w+));/g, (_, code, name) => (code ? String.fromCodePoint(code) : named[name]));
}

test("the curl line of the document's description works as pasted", async () => {
  const block = doc.info.description.split("\n").filter((line) => line.startsWith("    ")).map((line) => line.slice(4)).join("\n");
  assert.match(block, /^curl /);
  const { stdout } = await run("bash", ["-c", block.replace("http://127.0.0.1:8080", gateway)]);
  assert.match(stdout, /^HTTP\/1\.1 202 /, stdout);
});
