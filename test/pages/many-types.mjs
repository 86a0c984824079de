// Writes COUNT event types with 100 properties each into a folder: many-types.mjs DIR [COUNT].
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [dir, count = "500"] = process.argv.slice(2);
const write = (path, schema) => {
  mkdirSync(join(dir, path, ".."), { recursive: true });
  writeFileSync(join(dir, path), JSON.stringify({ $schema: "https://json-schema.org/draft/2020-12/schema", ...schema }, null, 2));
};

write("_shared/address.json", {
  title: "Address", type: "object", required: ["city"],
  properties: { lines: { type: "array", items: { type: "string" } }, city: { type: "string" }, country: { $ref: "country.json" } },
});
write("_shared/country.json", { title: "Country", type: "string", pattern: "^[A-Z]{2}$" });
write("_shared/money.json", {
  title: "Money", type: "object", required: ["amount", "currency"],
  properties: { amount: { type: "integer" }, currency: { type: "string", pattern: "^[A-Z]{3}$" } },
});

// kinds of properties with a value for the example.
const kinds = [
  [{ type: "string", maxLength: 80 }, "text"],
  [{ type: "integer", minimum: 0 }, 7],
  [{ type: "boolean" }, true],
  [{ type: "string", format: "date-time" }, "2026-11-23T09:15:30Z"],
  [{ enum: ["new", "paid", "shipped", "returned"] }, "paid"],
  [{ type: ["string", "null"], description: "May be null." }, null],
  [{ type: "array", items: { type: "object", properties: { sku: { type: "string" }, quantity: { type: "integer" } } } }, [{ sku: "TEA", quantity: 2 }]],
  [{ $ref: "../_shared/address.json" }, { city: "Bern", country: "CH" }],
  [{ $ref: "../_shared/money.json" }, { amount: 1290, currency: "EUR" }],
  [{ type: "object", additionalProperties: { type: "number" } }, { weight: 1.5 }],
];

for (let n = 0; n < Number(count); n++) {
  const properties = { id: { title: "Id", description: "Identifies the entity.", type: "string", minLength: 1 } };
  const example = { id: `e-${n}` };
  for (let p = 1; p < 100; p++) {
    const [schema, value] = kinds[p % kinds.length];
    properties[`property${p}`] = schema.$ref ? schema : { title: `Property ${p}`, description: `What property ${p} of thing ${n} says.`, ...schema };
    example[`property${p}`] = value;
  }
  const name = `group${String(n % 25).padStart(2, "0")}.thing-${String(n).padStart(3, "0")}-changed`;
  const schema = {
    title: `Thing ${n} changed`, description: `Thing ${n} is not what it was.`, "x-event": { key: "/id" },
    type: "object", required: ["id"], properties, examples: [example],
  };
  write(`${name}/v1.json`, schema);
  if (n % 10 === 0) write(`${name}/v2.json`, schema);
}
