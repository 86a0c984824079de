-- Places an order and writes its event in one transaction: either both are there, or neither.
-- psql "$SHOP_DSN" -v order=o-1001 -f examples/outbox/order.sql
CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY, customer text NOT NULL, placed_at timestamptz NOT NULL DEFAULT now());

BEGIN;
INSERT INTO orders (id, customer) VALUES (:'order', 'c-318');
INSERT INTO outbox (aggregatetype, aggregateid, type, payload)
VALUES ('orders', :'order', 'orders.placed', jsonb_build_object(
  'orderId', :'order', 'customerId', 'c-318', 'currency', 'EUR', 'placedAt', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
  'items', jsonb_build_array(jsonb_build_object('sku', 'TEA-250G', 'quantity', 2, 'unitPrice', 1290))));
COMMIT;
