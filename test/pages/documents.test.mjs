// The served documents are valid.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Parser } from "@asyncapi/parser";
import { Validator } from "@seriousme/openapi-schema-validator";

const gateway = process.env.GATEWAY_URL;
const get = async (path) => (await fetch(gateway + path)).text();

for (const [path, read] of [["/openapi.json", JSON.parse], ["/openapi.yaml", String]]) {
  test(`${path} fits the official schema of OpenAPI 3.1`, async () => {
    const validator = new Validator();
    const result = await validator.validate(read(await get(path)));
    assert.ok(result.valid, JSON.stringify(result.errors, null, 2));
    assert.equal(validator.version, "3.1");
  });
}

test("/asyncapi.json is AsyncAPI 3.0, and its examples fit its schemas", async () => {
  const { document, diagnostics } = await new Parser().parse(await get("/asyncapi.json"));
  // 3.0.0 on purpose: few tools read 3.1 yet.
  const faults = diagnostics.filter((each) => each.code !== "asyncapi-latest-version");
  assert.deepEqual(faults.map((each) => `${each.code} at ${each.path.join("/")}: ${each.message}`), []);
  assert.equal(document.version(), "3.0.0");
  assert.ok(document.channels().length >= 5);
});
