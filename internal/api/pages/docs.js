// freshKey is a UUID of version 4. crypto.randomUUID is for secure pages only,
// which http://gateway.lan is not.
function freshKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

// Without what stands before the host: a page that was opened as http://name:key@… may
// not ask for it again.
const url = new URL(document.getElementById("swagger-ui").dataset.document, location.origin).href;

// prepare changes the document as Swagger UI reads it, and no other answer.
function prepare(response) {
  if (!response.ok || response.url !== url) return response;
  const read = JSON.parse(response.text);
  // An example goes before the fresh key, and is the same for everybody.
  delete read.components.parameters.IdempotencyKey?.examples;
  response.text = JSON.stringify(read);
  return response;
}

// What is below these is an event's data, not a description, whatever it looks like;
// but below those, a name is whatever an event's author chose.
const data = new Set(["example", "examples", "default", "const", "enum"]);
const chosen = new Set(["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"]);

// resolve is a part of the document with what it refers to put in, as Swagger UI asks
// for it when an operation is opened. Our documents refer to themselves only; Swagger
// UI's own way, which may fetch others, goes through the whole document three times.
async function resolve(document, path) {
  const done = new Map(); // by reference; undefined while a schema is within itself
  const at = (names) => names.reduce((node, name) => node?.[name], document);
  const pointed = (ref) => at(decodeURIComponent(ref).split("/").slice(1).map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~")));

  function withTargets(node, isChosen = false) {
    if (Array.isArray(node)) return node.map((each) => withTargets(each));
    if (node === null || typeof node !== "object") return node;
    const own = Object.fromEntries(Object.entries(node).map(([name, value]) =>
      [name, !isChosen && data.has(name) ? value : withTargets(value, !isChosen && chosen.has(name))]));
    const ref = own.$ref;
    if (isChosen || typeof ref !== "string" || !ref.startsWith("#/")) return own;
    if (!done.has(ref)) {
      done.set(ref, undefined);
      done.set(ref, withTargets(pointed(ref)));
    }
    const target = done.get(ref);
    if (target === undefined || typeof target !== "object") return target ?? own;
    delete own.$ref;
    return { ...target, ...own, $$ref: url + ref };
  }

  const spec = withTargets(at(path));
  for (const parameter of spec?.parameters ?? []) {
    // A key for each operation that is opened: executed again, it shows a replay.
    if (parameter.name === "Idempotency-Key") parameter.default = freshKey();
  }
  return { spec, errors: [] };
}

// Long lists stay folded: what is not open costs nothing.
window.ui = SwaggerUIBundle({
  url,
  responseInterceptor: prepare,
  plugins: [{ fn: { resolveSubtree: resolve } }],
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
