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

// Long lists stay folded: what is not open costs nothing.
window.ui = SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.document,
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
