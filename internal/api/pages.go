package api

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	swaggerui "github.com/swaggest/swgui/v5/static"

	"eventgateway/internal/event"
	"eventgateway/internal/schema"
)

//go:embed pages
var ownPages embed.FS

// pagePolicy lets pages load what the gateway itself serves and nothing else.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// site is what clients can look up: event types, the documents about them, and pages.
type site struct {
	catalog   Catalog
	access    *access
	addresses addresses
	bodyLimit int  // bytes
	open      bool // no authentication
	views     views
	assets    func() (map[string]file, error) // of the pages, read when first asked for
}

func newSite(cfg Config, catalog Catalog, a *access) *site {
	return &site{
		catalog: catalog, access: a, addresses: a.addresses, bodyLimit: cfg.BodyLimit, open: cfg.Auth == nil,
		views: views{base: cfg.OpenAPI}, assets: sync.OnceValues(loadAssets),
	}
}

// loadAssets reads the files of the pages by name: our own and Swagger UI's.
func loadAssets() (map[string]file, error) {
	files := map[string]file{}
	for name, at := range map[string]string{"page.css": cssType, "docs.css": cssType, "landing.js": scriptType, "docs.js": scriptType} {
		text, err := ownPages.ReadFile("pages/" + name)
		if err == nil {
			files[name], err = newFile(at, text)
		}
		if err != nil {
			return nil, fmt.Errorf("read page asset %s: %w", name, err)
		}
	}
	for name, mediaType := range map[string]string{
		"swagger-ui.css": cssType, "swagger-ui-bundle.js": scriptType,
	} {
		zipped, err := swaggerui.FS.ReadFile(name + ".gz")
		if err == nil {
			files[name], err = zippedFile(mediaType, zipped)
		}
		if err != nil {
			return nil, fmt.Errorf("read page asset %s: %w", name, err)
		}
	}
	icon, err := swaggerui.FS.ReadFile(iconName)
	if err == nil {
		files[iconName], err = newFile("image/png", icon)
	}
	if err != nil {
		return nil, fmt.Errorf("read page asset %s: %w", iconName, err)
	}
	return files, nil
}

const (
	cssType    = "text/css; charset=utf-8"
	scriptType = "text/javascript; charset=utf-8"
	iconName   = "favicon-32x32.png"
)

// getAsset is GET /docs/assets/{file}.
func (s *site) getAsset(c *fiber.Ctx) error {
	files, err := s.assets()
	if err != nil {
		return err
	}
	f, ok := files[c.Params("file")]
	if !ok {
		return event.Refuse(event.NotFound, "There is no such file; /docs is the page that uses them.")
	}
	return f.send(c)
}

// manyTypes is the number of event types from which Swagger UI shows one at a time:
// with 500 it takes half a minute to open.
const manyTypes = 40

// getDocs is GET /docs[?type=].
func (s *site) getDocs(c *fiber.Ctx) error {
	types := len(s.view(c).set.Names())
	name := c.Query("type")
	page := struct {
		Document string
		Types    int  // 0: all are shown
		One      bool // only one is
		Open     bool // no authentication
	}{Document: "/openapi.json", One: name != "", Open: s.open}
	if name != "" || types >= manyTypes {
		page.Document, page.Types = "/openapi.json?type="+url.QueryEscape(name), types
	}
	return renderPage(c, docsTemplate, page)
}

var (
	docsTemplate    = template.Must(template.New("docs").Parse(string(mustRead("pages/docs.html"))))
	landingTemplate = template.Must(template.New("landing").Parse(string(mustRead("pages/landing.html"))))
)

// mustRead reads what is embedded.
func mustRead(name string) []byte {
	text, err := ownPages.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return text
}

func sendPage(c *fiber.Ctx, text []byte) error {
	c.Set(fiber.HeaderContentSecurityPolicy, pagePolicy)
	c.Set(fiber.HeaderXFrameOptions, "DENY") // for browsers that do not know frame-ancestors
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Response().Header.SetContentType("text/html; charset=utf-8")
	return c.Send(text)
}

// landingType is an event type on the landing page.
type landingType struct {
	Name, Title, Description, Topic string
	Key                             []string
	Versions                        []landingVersion // newest first
	Docs                            string           // its place in the pages
	Required                        bool
	Curl                            string // empty without an example
}

type landingVersion struct{ Name, Schema string }

// getLanding is GET /: what there is, for browsers a page.
func (s *site) getLanding(c *fiber.Ctx) error {
	c.Vary(fiber.HeaderAccept)
	if c.Accepts(mediaTypeJSON, fiber.MIMETextHTML) != fiber.MIMETextHTML {
		return writeJSON(c, fiber.StatusOK, map[string]string{
			"docs": "/docs", "event_types": "/v1/event-types", "openapi": "/openapi.json", "asyncapi": "/asyncapi.json", "problems": "/problems",
		})
	}
	page, err := s.view(c).landing(s.addresses.origin(c), !s.open)
	if err != nil {
		return err
	}
	return sendPage(c, page)
}

func landing(t schema.EventType, origin, docs string, asked bool) landingType {
	l := landingType{
		Name: t.Name, Title: t.Title, Description: t.Description, Topic: t.Newest.Topic, Key: t.Newest.KeyPointers,
		Docs: docs, Required: t.Newest.IdempotencyRequired,
	}
	for i := len(t.Versions) - 1; i >= 0; i-- {
		l.Versions = append(l.Versions, landingVersion{t.Versions[i], "/v1/event-types/" + t.Name + "/schema?version=" + t.Versions[i]})
	}
	if len(t.Examples) > 0 {
		l.Curl = curlLine(origin, t.Name, t.Examples[0], asked)
	}
	return l
}

// curlLine is a command that posts an example. The key is derived from the example, so
// repeating the command is a replay. If authentication is on, the API key comes from a
// shell variable.
func curlLine(origin, eventType string, data []byte, asked bool) string {
	who := ""
	if asked {
		who = "  -H \"Authorization: Bearer $GATEWAY_KEY\" \\\n"
	}
	sum := sha256.Sum256(append([]byte(eventType+" "), data...))
	return "curl -i " + origin + "/v1/events/" + eventType + " \\\n" + who +
		"  -H 'Content-Type: application/json' -H 'Idempotency-Key: try-" + hex.EncodeToString(sum[:6]) + "' \\\n" +
		"  -d '" + strings.ReplaceAll(string(data), "'", `'\''`) + "'"
}
