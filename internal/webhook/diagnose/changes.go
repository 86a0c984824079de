package diagnose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"eventgateway/internal/webhook"
)

// change undoes something that goes wrong with deliveries on their way.
type change struct {
	what string
	do   func(cfg *webhook.Config, r *webhook.Request)
}

func body(what string, undo func(b []byte) []byte) change {
	return change{what, func(_ *webhook.Config, r *webhook.Request) { r.Body = undo(bytes.Clone(r.Body)) }}
}

func publicURL(what string, undo func(url string) string) change {
	return change{what, func(cfg *webhook.Config, _ *webhook.Request) { cfg.PublicURL = undo(cfg.PublicURL) }}
}

var allChanges = []change{
	body("without the line break at the body's end", func(b []byte) []byte {
		return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	}),
	body("without the white space at the body's end", func(b []byte) []byte { return bytes.TrimRight(b, " \t\r\n") }),
	body("with a line feed at the body's end", func(b []byte) []byte { return append(b, '\n') }),
	body("with a carriage return and a line feed at the body's end", func(b []byte) []byte { return append(b, "\r\n"...) }),
	body("with LF instead of CR LF in the body", unix),
	body("with CR LF instead of LF in the body", func(b []byte) []byte { return bytes.ReplaceAll(unix(b), []byte("\n"), []byte("\r\n")) }),
	body("with LF instead of CR LF in the body, and without the line break at its end", func(b []byte) []byte {
		return bytes.TrimSuffix(unix(b), []byte("\n"))
	}),
	body("with CR LF instead of LF in the body, and without the line break at its end", func(b []byte) []byte {
		return bytes.ReplaceAll(bytes.TrimSuffix(unix(b), []byte("\n")), []byte("\n"), []byte("\r\n"))
	}),
	body("without the byte order mark before the body", func(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) }),
	body("with the body as compact JSON: what you saved was pretty-printed", func(b []byte) []byte {
		var compact bytes.Buffer
		if json.Compact(&compact, b) != nil {
			return b
		}
		return compact.Bytes()
	}),
	publicURL("with https instead of http in public_url", func(url string) string { return strings.Replace(url, "http://", "https://", 1) }),
	publicURL("with http instead of https in public_url", func(url string) string { return strings.Replace(url, "https://", "http://", 1) }),
	publicURL("without the slash at the end of public_url", func(url string) string { return strings.TrimSuffix(url, "/") }),
	publicURL("with a slash at the end of public_url", func(url string) string { return url + "/" }),
}

func unix(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }

// changes tries each change, and each secret without surrounding white space.
func changes(cfg webhook.Config, r webhook.Request, at time.Time) (found []string) {
	tries := allChanges
	for i, secret := range cfg.Secrets {
		if trimmed := strings.TrimSpace(secret); trimmed != secret {
			tries = append(tries[:len(tries):len(tries)], change{
				fmt.Sprintf("without the white space around secret %d", i+1),
				func(cfg *webhook.Config, _ *webhook.Request) { cfg.Secrets = []string{trimmed} },
			})
		}
	}
	for _, c := range tries {
		changedCfg, changed := cfg, r
		c.do(&changedCfg, &changed)
		if changedCfg.PublicURL == cfg.PublicURL && bytes.Equal(changed.Body, r.Body) && len(changedCfg.Secrets) == len(cfg.Secrets) && cfg.Secrets[0] == changedCfg.Secrets[0] {
			continue
		}
		if source, err := webhook.New(changedCfg); err == nil && ask(source, changed, at).rejection == nil {
			found = append(found, c.what)
		}
	}
	return found
}
