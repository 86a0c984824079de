"""Extracts the examples of docs/cloudevents.md and README.md, so that they are run
unchanged, except for the gateway's address and the source of the events, which must be
new in each run."""

import json
import os

out, run, url = os.environ["OUT"], os.environ["RUN"], os.environ["GATEWAY_URL"]
wanted = {
    ("../../docs/cloudevents.md", "Python ("): "publish-snippet.py",
    ("../../docs/cloudevents.md", "JavaScript ("): "publish-snippet.mjs",
    ("../../docs/cloudevents.md", "Read a record in Python"): "read_snippet.py",
    ("../../docs/cloudevents.md", "Read a record in JavaScript"): "read-snippet.mjs",
    ("../../README.md", "Tools that speak CloudEvents"): "batch-snippet.sh",
}


def block_behind(path: str, start: str) -> str:
    """The indented block behind the only paragraph that starts so."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    at = [i for i, line in enumerate(lines) if line.startswith(start)]
    assert len(at) == 1, f"{path} has {len(at)} paragraphs that start with {start!r}"
    rest = lines[at[0] + 1:]
    begin = next(i for i, line in enumerate(rest) if line.startswith("    "))
    end = next(i for i in range(begin, len(rest)) if rest[i] and not rest[i].startswith("    "))
    return "\n".join(line[4:] for line in rest[begin:end]).strip() + "\n"


for (path, start), name in wanted.items():
    text = block_behind(path, start).replace("http://127.0.0.1:8080", url).replace('"/shop"', json.dumps(f"/{run}/shop"))
    with open(os.path.join(out, name), "w", encoding="utf-8") as file:
        file.write(text)
