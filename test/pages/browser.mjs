// A browser that reports everything that a page must not do.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

export const gateway = process.env.GATEWAY_URL;
export const out = process.env.OUT;

// Chromium without background traffic: every connection is made by the page.
const flags = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

// openBrowser starts Chromium with an empty profile.
export const openBrowser = () => chromium.launch({ executablePath: process.env.CHROMIUM, headless: true, args: flags });

// Swagger UI warns of every link to an operation whose id has a "_", and follows it.
const deepLinks = /^Warning: escaping deep link whitespace/;

// openPage returns a page with empty caches, and blameless(), which fails on any console error or
// warning, uncaught exception, CSP violation, failed request, or request to another
// host. Expected 4xx answers are announced with expectAnswer.
export async function openPage(browser, options = {}) {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(60_000);
  const faults = [];
  const expected = new Set();
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    // Chromium reports an answer of 4xx as an error of its own, with its address.
    if (expected.has(new URL(message.location().url || gateway).pathname) && /status of 4\d\d/.test(message.text())) return;
    if (deepLinks.test(message.text())) return;
    faults.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`exception: ${error.stack}`));
  page.on("requestfailed", (request) => faults.push(`failed request: ${request.url()} ${request.failure()?.errorText}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["data:", "blob:"].includes(url.protocol) && url.origin !== new URL(gateway).origin) faults.push(`request to another host: ${url}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400 && !expected.has(new URL(response.url()).pathname)) faults.push(`answer ${response.status()}: ${response.url()}`);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`CSP: ${event.violatedDirective} blocks ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
    });
  });
  return {
    page,
    expectAnswer: (path) => expected.add(path),
    blameless: () => assert.deepEqual(faults, []),
  };
}
