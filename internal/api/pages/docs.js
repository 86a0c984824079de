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
  // Before it resolves what is opened, it normalizes the whole document of OpenAPI
  // 3.1, each time, and drops the outcome; not with this mark. Ours is normal: its
  // ids are unique, and its paths have no parameters in common.
  read.$$normalized = true;
  // An example goes before the fresh key, and is the same for everybody.
  delete read.components.parameters.IdempotencyKey?.examples;
  response.text = JSON.stringify(read);
  return response;
}

// What is not in the document needs no resolving: without security schemes Swagger UI
// takes all of it apart once more, to find none.
const resolveWhatIsThere = {
  statePlugins: { spec: { wrapActions: {
    requestResolvedSubtree: (request, { specSelectors }) => (path) => (specSelectors.specJson().hasIn(path) ? request(path) : { type: "nothing_to_resolve" }),
  } } },
};

// Long lists stay folded: what is not open costs nothing.
window.ui = SwaggerUIBundle({
  url,
  responseInterceptor: prepare,
  plugins: [resolveWhatIsThere],
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  // A key for each operation that is opened: executed again, it shows a replay. An
  // empty default is none; undefined is not a value that Swagger UI can resolve.
  parameterMacro: (_, parameter) => (parameter.name === "Idempotency-Key" ? freshKey() : ""),
});
