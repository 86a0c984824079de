// Places an order and writes its event in one transaction: either both are there, or neither.
//
//   npm install pg
//   SHOP_DSN=postgres://... node order.mjs o-1003
import pg from "pg";

async function placeOrder(client, orderId, customerId) {
  const event = {
    orderId,
    customerId,
    currency: "EUR",
    items: [{ sku: "TEA-250G", quantity: 2, unitPrice: 1290 }],
    placedAt: new Date().toISOString(),
  };
  await client.query("BEGIN");
  try {
    // Locks the order first: whoever changes the same order next waits here, so that the
    // events of one order are published in the order of their commits.
    await client.query("INSERT INTO orders (id, customer) VALUES ($1, $2)", [orderId, customerId]);
    await client.query("INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ($1, $2, $3, $4)", [
      "orders",
      orderId,
      "orders.placed",
      JSON.stringify(event),
    ]);
    await client.query("COMMIT");
  } catch (err) {
    await client.query("ROLLBACK");
    throw err;
  }
}

const client = new pg.Client({ connectionString: process.env.SHOP_DSN });
await client.connect();
try {
  await placeOrder(client, process.argv[2], "c-318");
  console.log("placed", process.argv[2]);
} finally {
  await client.end();
}
