package webhook

import (
	"strings"
	"time"
)

const gitlabToken = "X-Gitlab-Token" //nolint:gosec // a header's name

// gitlab verifies both of GitLab's ways: the secret token, sent along in
// X-Gitlab-Token, and the newer signing token, which signs as Standard Webhooks do
// and is written in that form (whsec_ and base64). If there is a signing token and a
// signature, only the signature counts.
type gitlab struct {
	tokens *credentials // nil: none
	signed *standard    // nil: none
}

func newGitLab(cfg Config, f *faults) verifier {
	var g gitlab
	tokens := cfg
	tokens.Secrets = nil
	for i, secret := range cfg.Secrets {
		if !strings.HasPrefix(secret, "whsec_") {
			tokens.Secrets = append(tokens.Secrets, secret)
			continue
		}
		if g.signed == nil {
			g.signed = &standard{tolerance: cfg.Tolerance, sets: []standardHeaders{webhookHeaders}}
		}
		g.signed.add(i, secret, f)
	}
	if tokens.Secrets != nil {
		g.tokens = newCredentials(tokens, credentials{header: gitlabToken})
	}
	return &g
}

func (g *gitlab) verify(r Request, now time.Time) *Rejection {
	if g.tokens == nil || g.signed != nil && len(r.Header.Values(webhookHeaders.signature)) > 0 {
		return g.signed.verify(r, now)
	}
	return g.tokens.verify(r, now)
}

func (g *gitlab) sign(r *Request, id string, now time.Time) error {
	if g.signed == nil {
		if id != "" {
			r.Header.Set("Idempotency-Key", id)
		}
		return g.tokens.sign(r, id, now)
	}
	return g.signed.sign(r, id, now)
}
