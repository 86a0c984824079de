// Five hundred event types with a hundred properties each: the pages stay usable, a
// reload disturbs no client, and neither costs too much.
//
// Limits are in seconds of CPU time, of the gateway and the browser together: elapsed
// time depends on what else the machine does, and is only reported.
import assert from "node:assert/strict";
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { openBrowser, openPage, out } from "./browser.mjs";

const gateway = process.env.GATEWAY_URL;
const schemas = process.env.SCHEMAS;
const gatewayPid = Number(process.env.GATEWAY_PID);
// usable is what two cores do in two seconds, after which a page feels slow.
const usable = 4;
// reloadLimit is what two cores do in the second that a change may take.
const reloadLimit = 2;
const ticksPerSecond = 100; // Linux USER_HZ

let browser;
before(async () => { browser = await openBrowser(); });
after(() => browser.close());

function report(line) {
  console.log(`  ${line}`);
  appendFileSync(join(out, "figures.txt"), `${line}\n`);
}

// cpuSeconds is what the gateway and the browser have used, by process: processes of
// closed pages end, and their time must not be subtracted.
function cpuSeconds() {
  const processes = new Map();
  for (const name of readdirSync("/proc").filter((each) => /^\d+$/.test(each))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      processes.set(Number(name), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) });
    } catch { /* it has ended */ }
  }
  const ours = (pid) => pid === gatewayPid || (processes.has(pid) && (processes.get(pid).parent === process.pid || ours(processes.get(pid).parent)));
  return new Map([...processes].filter(([pid]) => ours(pid)).map(([pid, each]) => [pid, each.ticks / ticksPerSecond]));
}

const cpuSince = (before) => [...cpuSeconds()].reduce((sum, [pid, seconds]) => sum + seconds - (before.get(pid) ?? 0), 0);

const residentMiB = () => Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gatewayPid}/status`, "utf8"))[1]) / 1024);
const median = (list) => list.slice().sort((a, b) => a - b)[Math.floor(list.length / 2)];

// timed runs act and returns the elapsed seconds and those of CPU.
async function timed(act) {
  const [clock, cpu] = [performance.now(), cpuSeconds()];
  await act();
  return { clock: (performance.now() - clock) / 1000, cpu: cpuSince(cpu) };
}

const seconds = ({ clock, cpu }) => `${clock.toFixed(2)} s (CPU: ${cpu.toFixed(2)} s)`;

// holdTo reports the medians of several runs and holds the CPU time to the limit.
function holdTo(limit, what, runs) {
  const middle = { clock: median(runs.map((each) => each.clock)), cpu: median(runs.map((each) => each.cpu)) };
  report(`${what}: ${seconds(middle)}, median of ${runs.length}; limit ${limit} s of CPU`);
  assert.ok(middle.cpu < limit, `${what} takes too long`);
}

test("the document", async () => {
  report(`resident memory of the gateway, event types loaded: ${residentMiB()} MiB`);
  let first;
  const time = await timed(async () => { first = await (await fetch(`${gateway}/openapi.json`)).text(); });
  const zipped = await fetch(`${gateway}/openapi.json`, { headers: { "Accept-Encoding": "gzip" } });
  report(`/openapi.json: ${(first.length / 1e6).toFixed(1)} MB, ${(Number(zipped.headers.get("content-length")) / 1e6).toFixed(2)} MB as gzip; ` +
    `first one ${seconds(time)}`);
  assert.equal(Object.keys(JSON.parse(first).paths).filter((path) => path.startsWith("/v1/events/group")).length, 550);
  report(`resident memory of the gateway, after the first document: ${residentMiB()} MiB`);
});

test("the landing page", async () => {
  const runs = [];
  for (let i = 0; i < 3; i++) {
    const { page, blameless } = await openPage(browser);
    runs.push(await timed(async () => {
      await page.goto(`${gateway}/`);
      await page.getByRole("searchbox").fill("thing-250");
      await page.locator('[id="group00.thing-250-changed"]').waitFor();
      await page.locator('[id="group00.thing-000-changed"]').waitFor({ state: "hidden" });
    }));
    assert.equal(await page.locator(".type:visible").count(), 1);
    blameless();
    await page.close();
  }
  holdTo(usable, "/ until a search has found its event type", runs);
});

test("the API's page", async () => {
  const runs = [];
  for (let i = 0; i < 3; i++) {
    const { page, blameless } = await openPage(browser);
    runs.push(await timed(async () => {
      await page.goto(`${gateway}/docs`, { waitUntil: "commit" });
      await page.getByRole("link", { name: "All 500 event types" }).waitFor();
      await page.locator('.opblock-tag[data-tag="event types"]').waitFor();
    }));
    blameless();
    await page.close();
  }
  holdTo(usable, "/docs until its list is there", runs);
});

test("a link from the landing page to an operation", async () => {
  const runs = [];
  for (let i = 0; i < 3; i++) {
    const { page, blameless } = await openPage(browser);
    await page.goto(`${gateway}/#group00.thing-250-changed`);
    const operation = page.locator('.opblock[id$="publish_group00_thing_250_changed_v2"]');
    runs.push(await timed(async () => {
      await page.locator('[id="group00.thing-250-changed"]').getByRole("link", { name: "Try it" }).click();
      await operation.locator("textarea.body-param__text").waitFor();
    }));
    await operation.getByRole("button", { name: "Execute" }).click();
    await operation.locator(".live-responses-table .response-col_status").getByText("202").waitFor();
    blameless();
    await page.close();
  }
  holdTo(usable, "Try it until the operation is open", runs);
});

// poster posts one event after another and collects every answer that is not a 202.
function poster() {
  const faults = [];
  const slowest = { ms: 0 };
  let sent = 0;
  let going = true;
  const body = JSON.stringify({ id: "poster" });
  const done = (async () => {
    while (going) {
      const start = performance.now();
      try {
        const answer = await fetch(`${gateway}/v1/events/group01.thing-001-changed`, {
          method: "POST", headers: { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() }, body,
        });
        const text = await answer.text();
        if (answer.status !== 202) faults.push(`${answer.status} ${text}`);
      } catch (error) {
        faults.push(String(error));
      }
      slowest.ms = Math.max(slowest.ms, performance.now() - start);
      sent++;
    }
  })();
  return { async stop() { going = false; await done; return { faults, sent, slowestMs: Math.round(slowest.ms) }; } };
}

test("a reload under load", async () => {
  const client = poster();
  const path = join(schemas, "group02.thing-002-changed", "v1.json");
  const schema = JSON.parse(readFileSync(path, "utf8"));
  const reloaded = await timed(async () => {
    const start = performance.now();
    writeFileSync(path, JSON.stringify({ ...schema, title: "Renamed while the gateway runs" }));
    while (!(await titleOf("group02.thing-002-changed")).startsWith("Renamed")) {
      assert.ok(performance.now() - start < 120_000, "the change is not visible after two minutes");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
  const described = await timed(async () => {
    const text = gunzipSync(await gzipped("/openapi.json")).toString();
    assert.ok(text.includes("Renamed while the gateway runs"));
  });
  const { faults, sent, slowestMs } = await client.stop();
  report(`a changed file: visible after ${seconds(reloaded)}; limit ${reloadLimit} s of CPU; ` +
    `first /openapi.json then ${seconds(described)}`);
  report(`posted meanwhile: ${sent}, the slowest ${slowestMs} ms; resident memory of the gateway: ${residentMiB()} MiB`);
  assert.deepEqual(faults, []);
  assert.ok(sent > 10);
  assert.ok(reloaded.cpu < reloadLimit, "a reload takes too long");
});

const titleOf = async (type) => (await (await fetch(`${gateway}/v1/event-types/${type}`)).json()).title;

// gzipped is a body as it is sent.
function gzipped(path) {
  return new Promise((resolve, reject) => {
    get(gateway + path, { headers: { "Accept-Encoding": "gzip" } }, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk)).on("end", () => resolve(Buffer.concat(chunks))).on("error", reject);
    }).on("error", reject);
  });
}
