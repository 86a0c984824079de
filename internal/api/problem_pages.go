package api

import (
	"bytes"
	"fmt"
	"html/template"
	"slices"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
)

// problemPage explains one kind of problem.
type problemPage struct {
	Type      string          `json:"type"`
	Slug      event.Kind      `json:"slug"`
	Status    int             `json:"status"`
	Title     string          `json:"title"`
	Outcomes  []event.Outcome `json:"outcomes"`
	Retryable bool            `json:"retryable"`
	Meaning   string          `json:"meaning"`
	Action    string          `json:"action"`
}

func pageOf(kind event.Kind) (problemPage, bool) {
	p, ok := problems[kind]
	return problemPage{
		Type: "/problems/" + string(kind), Slug: kind, Status: p.status, Title: p.title,
		Outcomes: p.outcomes, Retryable: p.retryable, Meaning: p.meaning, Action: p.action,
	}, ok
}

// getProblem is GET /problems/{slug}: a page for browsers, JSON for others.
func getProblem(c *fiber.Ctx) error {
	page, ok := pageOf(event.Kind(c.Params("slug")))
	if !ok {
		return event.Refuse(event.NotFound, "There is no such problem; /problems lists them.")
	}
	return writePage(c, page, problemTemplate, page)
}

// listProblems is GET /problems.
func listProblems(c *fiber.Ctx) error {
	pages := []problemPage{}
	for kind := range problems {
		page, _ := pageOf(kind)
		pages = append(pages, page)
	}
	slices.SortFunc(pages, func(a, b problemPage) int {
		if a.Status != b.Status {
			return a.Status - b.Status
		}
		return bytes.Compare([]byte(a.Slug), []byte(b.Slug))
	})
	list := map[string]any{"problems": pages}
	return writePage(c, list, problemListTemplate, list)
}

// writePage answers clients that prefer HTML with the page that t makes of data, and
// others with v as JSON.
func writePage(c *fiber.Ctx, v any, t *template.Template, data any) error {
	c.Vary(fiber.HeaderAccept)
	if c.Accepts(mediaTypeJSON, fiber.MIMETextHTML) != fiber.MIMETextHTML {
		return writeJSON(c, fiber.StatusOK, v)
	}
	return renderPage(c, t, data)
}

func renderPage(c *fiber.Ctx, t *template.Template, data any) error {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	return sendPage(c, b.Bytes())
}

const pageHead = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/assets/page.css"><link rel="icon" href="/docs/assets/favicon-32x32.png">`

var problemTemplate = template.Must(template.New("problem").Parse(pageHead + `
<title>{{.Title}}</title></head><body>
<p><a href="/">Event gateway</a> / <a href="/problems">Problems</a> / <code>{{.Slug}}</code></p>
<h1>{{.Title}}</h1>
<dl>
<dt>HTTP status</dt><dd>{{.Status}}</dd>
<dt>What it means</dt><dd>{{.Meaning}}</dd>
<dt>What to do</dt><dd>{{.Action}}</dd>
<dt>Was the event written?</dt><dd>{{range $i, $o := .Outcomes}}{{if $i}}, or {{end}}<code>{{$o}}</code>{{end}}</dd>
<dt>Can the same request succeed later?</dt><dd>{{if .Retryable}}Yes.{{else}}No: change it first.{{end}}</dd>
</dl>`))

var problemListTemplate = template.Must(template.New("problems").Parse(pageHead + `
<title>Problems</title></head><body>
<p><a href="/">Event gateway</a> / Problems</p>
<h1>Problems</h1>
<table><tr><th>Status</th><th>Slug</th><th>Title</th></tr>
{{range .problems}}<tr><td>{{.Status}}</td><td><a href="{{.Type}}"><code>{{.Slug}}</code></a></td><td>{{.Title}}</td></tr>
{{end}}</table>`))
