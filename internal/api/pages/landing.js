// Finds event types by name, title and description, and copies curl lines.
const sections = [...document.querySelectorAll(".type")].map((section) => ({
  section,
  text: section.querySelector("h2").textContent.toLowerCase() + " " + (section.querySelector("p:not(.facts)")?.textContent ?? "").toLowerCase(),
}));
const nothing = document.getElementById("nothing");

document.getElementById("search").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  let found = 0;
  for (const { section, text } of sections) {
    section.hidden = !words.every((word) => text.includes(word));
    found += section.hidden ? 0 : 1;
  }
  nothing.hidden = found > 0;
});

document.addEventListener("click", async (event) => {
  if (event.target.tagName !== "BUTTON") return;
  const line = event.target.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(line.textContent);
    event.target.textContent = "Copied";
  } catch { // only secure pages may write to the clipboard
    getSelection().selectAllChildren(line);
    event.target.textContent = "Press Ctrl-C";
  }
  setTimeout(() => { event.target.textContent = "Copy"; }, 2000);
});
