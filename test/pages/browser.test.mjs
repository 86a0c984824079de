// What a new user does on the pages, in a real browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { gateway, openBrowser, openPage, out } from "./browser.mjs";

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const operationOf = (page, id) => page.locator(`.opblock[id$="${id}"]`);
const answer = (operation) => operation.locator(".live-responses-table .response").first();

let browser;
before(async () => { browser = await openBrowser(); });
after(() => browser.close());

async function execute(operation) {
  await operation.getByRole("button", { name: "Execute" }).click();
  await answer(operation).locator(".response-col_status").waitFor();
}

// keyOf is the input of the operation's Idempotency-Key.
const keyOf = (operation) => operation.locator('tr[data-param-name="Idempotency-Key"] input');

test("from the landing page to a receipt, a replay and a problem", async () => {
  const { page, blameless, expectAnswer } = await openPage(browser);
  await page.goto(`${gateway}/`);
  const types = await (await fetch(`${gateway}/v1/event-types`)).json();
  assert.ok(types.event_types.length >= 5, "the samples are loaded");
  for (const { type } of types.event_types) await page.locator(`[id="${type}"]`).waitFor();

  await page.getByRole("searchbox").fill("order PLACED");
  assert.deepEqual(await page.locator(".type:visible").evaluateAll((list) => list.map((each) => each.id)), ["orders.placed"]);
  await page.getByRole("searchbox").fill("no such thing");
  await page.getByText("No event type fits.").waitFor();
  await page.getByRole("searchbox").fill("placed");

  const place = page.locator('[id="orders.placed"]');
  await place.getByRole("link", { name: "Try it" }).click();
  assert.equal(new URL(page.url()).pathname, "/docs");
  const operation = operationOf(page, "publish_orders_placed_v1");
  await operation.locator("textarea.body-param__text").waitFor();
  assert.ok(await operation.evaluate((each) => each.classList.contains("is-open")), "the operation is open");
  const example = JSON.parse(await operation.locator("textarea.body-param__text").inputValue());
  assert.equal(example.orderId, "o-10492", "the schema's first example is there");
  assert.match(await keyOf(operation).inputValue(), uuid, "a fresh Idempotency-Key is there");

  const key = `pages-${crypto.randomUUID()}`;
  await keyOf(operation).fill(key);
  await execute(operation);
  const first = answer(operation);
  assert.equal((await first.locator(".response-col_status").innerText()).split("\n")[0], "202");
  const receipt = await first.innerText();
  for (const part of ['"topic": "orders.placed"', /"partition": \d/, /"offset": \d/]) assert.match(receipt, new RegExp(part.source ?? part));
  assert.doesNotMatch(receipt, /idempotent-replayed/);

  await execute(operation);
  await answer(operation).getByText("idempotent-replayed: true").waitFor();

  expectAnswer("/v1/events/orders.placed"); // with 422
  await keyOf(operation).fill(`${key}-bad`);
  await operation.locator("textarea.body-param__text").fill('{"orderId": 7}');
  await execute(operation);
  await answer(operation).getByText("/problems/schema-violation").first().waitFor();
  assert.equal((await answer(operation).locator(".response-col_status").innerText()).split("\n")[0], "422");
  blameless();
  await page.close();
});

test("every operation gets an Idempotency-Key of its own, also where pages are not secure", async () => {
  const { page, blameless } = await openPage(browser);
  await page.addInitScript(() => {
    if (location.search === "?insecure") Object.defineProperty(crypto, "randomUUID", { value: undefined });
  });
  const keys = new Set();
  for (const query of ["", "?insecure"]) {
    await page.goto(`${gateway}/docs${query}#/orders.*/publish_orders_placed_v1`);
    for (const id of ["publish_orders_placed_v1", "publish_orders_cancelled_v1"]) {
      const operation = operationOf(page, id);
      await operation.waitFor();
      if (!(await operation.evaluate((each) => each.classList.contains("is-open")))) await operation.locator(".opblock-summary-control").click();
      await keyOf(operation).waitFor();
      const key = await keyOf(operation).inputValue();
      assert.match(key, uuid);
      keys.add(key);
      for (const name of ["ce-id", "ce-time", "ce-source", "traceparent"]) {
        assert.equal(await operation.locator(`tr[data-param-name="${name}"] input`).inputValue(), "", `${name} is the client's`);
      }
      await execute(operation);
      assert.equal((await answer(operation).locator(".response-col_status").innerText()).split("\n")[0], "202", "Execute is all it takes");
    }
  }
  for (const round of [1, 2]) {
    await page.goto("about:blank");
    await page.goto(`${gateway}/docs#/events/publishEvent`);
    const operation = operationOf(page, "publishEvent");
    await keyOf(operation).waitFor();
    const key = await keyOf(operation).inputValue();
    assert.match(key, uuid, `publishEvent, opened for the ${round}. time`);
    keys.add(key);
  }
  assert.equal(keys.size, 6);
  blameless();
  await page.close();
});

test("every operation opens, with its schema", async () => {
  const { page, blameless } = await openPage(browser);
  await page.goto(`${gateway}/docs`);
  await page.locator(".opblock-tag").first().waitFor();
  for (const tag of await page.locator(".opblock-tag").all()) await tag.click();
  const { paths } = await (await fetch(`${gateway}/openapi.json`)).json();
  const operations = await page.locator(".opblock").all();
  assert.equal(operations.length, Object.values(paths).flatMap(Object.keys).length);
  for (const operation of operations) {
    await operation.locator(".opblock-summary-control").click();
    await operation.locator(".responses-inner").waitFor();
    const schema = operation.getByRole("tab", { name: "Schema" }).first();
    if (await schema.count()) {
      await schema.click();
      await operation.locator('[role="tabpanel"][data-name="modelPanel"]').first().waitFor();
    }
    await operation.locator(".opblock-summary-control").click();
  }
  assert.equal(await page.locator(".errors-wrapper").count(), 0);
  blameless();
  await page.close();
});

test("a schema within itself", async () => {
  const { page, blameless } = await openPage(browser);
  await page.goto(`${gateway}/docs#/trees.*/publish_trees_grown_v1`);
  const operation = operationOf(page, "publish_trees_grown_v1");
  await operation.locator("textarea.body-param__text").waitFor();
  await operation.getByRole("tab", { name: "Schema" }).first().click();
  const model = operation.locator('[role="tabpanel"][data-name="modelPanel"]').first();
  await model.getByRole("button", { name: "Expand all" }).first().click();
  for (const name of ["default", "root", "children"]) await model.getByText(name, { exact: true }).first().waitFor();
  await execute(operation);
  assert.equal((await answer(operation).locator(".response-col_status").innerText()).split("\n")[0], "202");
  blameless();
  await page.close();
});

test("the curl line is copied, or selected where pages may not write to the clipboard", async () => {
  const { page, blameless } = await openPage(browser);
  await page.goto(`${gateway}/`);
  const place = page.locator('[id="orders.placed"]');
  const line = await place.locator("pre code").textContent();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin: gateway });
  await place.getByRole("button").click();
  await place.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), line);

  await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await place.getByRole("button", { name: "Copy", exact: true }).click();
  await place.getByRole("button", { name: "Press Ctrl-C" }).waitFor();
  assert.equal(await page.evaluate(() => getSelection().toString()), line);
  blameless();
  await page.close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [device, width] of [["desktop", 1280], ["phone", 390]]) {
    test(`pictures: ${device}, ${colorScheme}`, async () => {
      const { page, blameless } = await openPage(browser, { viewport: { width, height: 900 }, colorScheme });
      const shoot = async (name, fullPage = true) => {
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        await page.screenshot({ path: join(out, `${name}-${device}-${colorScheme}.png`), fullPage });
        assert.ok(wide <= width, `${name} is ${wide} pixels wide on a screen of ${width}`);
      };
      await page.goto(`${gateway}/`);
      await shoot("landing");
      await page.goto(`${gateway}/docs`);
      await page.locator(".opblock-tag").first().waitFor();
      await shoot("docs");
      await page.goto(`${gateway}/docs#/orders.*/publish_orders_placed_v1`);
      await page.reload();
      const operation = operationOf(page, "publish_orders_placed_v1");
      await keyOf(operation).waitFor();
      await execute(operation);
      await page.setViewportSize({ width, height: 1800 });
      await operation.evaluate((each) => each.scrollIntoView());
      await shoot("operation", false);
      await answer(operation).evaluate((each) => each.scrollIntoView({ block: "center" }));
      await shoot("answer", false);
      await page.setViewportSize({ width, height: 900 });
      await page.goto(`${gateway}/problems`);
      await shoot("problems");
      await page.goto(`${gateway}/problems/outcome-unknown`);
      await shoot("problem");
      blameless();
      await page.close();
    });
  }
}
