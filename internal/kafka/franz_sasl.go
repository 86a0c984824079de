package kafka

import (
	"crypto/tls"
	"net/url"
	"regexp"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// login translates the sasl.* properties; nil if they cannot be used.
func (t *translation) login() []kgo.Opt {
	const mechanisms = "sasl.mechanisms"
	p, given := t.given[mechanisms]
	if !given {
		t.lack(mechanisms, "is not given, and its default is GSSAPI, which franz-go does not have here")
		return nil
	}
	switch p.value { // exactly so, as in librdkafka
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
		return t.password(p.value)
	case "OAUTHBEARER":
		return t.oauthBearer()
	case "GSSAPI":
		t.lack(mechanisms, "franz-go does not have GSSAPI here")
	default:
		t.fault(mechanisms, "is not a mechanism that is known here", "write PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER")
	}
	return nil
}

func (t *translation) password(mechanism string) []kgo.Opt {
	user, password := t.text("sasl.username"), t.text("sasl.password")
	for _, name := range []string{"sasl.username", "sasl.password"} {
		if t.text(name) == "" {
			t.fault(name, "is missing, and "+mechanism+" needs it", "give sasl.username and sasl.password")
		}
	}
	switch mechanism {
	case "SCRAM-SHA-256":
		return []kgo.Opt{kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism())}
	case "SCRAM-SHA-512":
		return []kgo.Opt{kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism())}
	}
	return []kgo.Opt{kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism())}
}

// oauthBearer translates OAuth 2.0 client credentials. The token source lives as long
// as a client with these options.
func (t *translation) oauthBearer() []kgo.Opt {
	const (
		method   = "sasl.oauthbearer.method"
		grant    = "sasl.oauthbearer.grant.type"
		metadata = "sasl.oauthbearer.metadata.authentication.type"
	)
	if t.oneOf(method, "default", "oidc") != "oidc" {
		t.lack(method, "is not oidc; the other method needs a program that gives tokens")
		return nil
	}
	if t.oneOf(grant, "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer") != "client_credentials" {
		t.lack(grant, "with franz-go, tokens are asked for with client credentials only")
		return nil
	}
	if t.oneOf(metadata, "none", "azure_imds", "aws_iam") != "none" {
		t.lack(metadata, "with franz-go, tokens are asked for with client credentials only")
		return nil
	}
	client := tokenClient{
		endpoint: t.tokenEndpoint(),
		id:       t.required("sasl.oauthbearer.client.id"), secret: t.required("sasl.oauthbearer.client.secret"),
		scope: t.text("sasl.oauthbearer.scope"),
	}
	if t.text("https.ca.location") != "" && t.text("https.ca.pem") != "" {
		t.fault("https.ca.pem", "is given together with https.ca.location", "keep one of them")
	}
	client.http = tokenHTTP(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: t.authorities("https.ca.location", "https.ca.pem")})
	source := newTokenSource(client.ask, t.extensions())
	return []kgo.Opt{kgo.SASL(oauth.Oauth(source.auth)), kgo.WithHooks(source)}
}

func (t *translation) required(plain string) string {
	value := t.text(plain)
	if value == "" {
		t.fault(plain, "is missing, and sasl.oauthbearer.method: oidc needs it", "give it a value")
	}
	return value
}

func (t *translation) tokenEndpoint() string {
	const plain = "sasl.oauthbearer.token.endpoint.url"
	text := t.required(plain)
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		t.fault(plain, "is not an http or https URL without a user", "write for example https://login.example.com/oauth2/token")
	}
	return text
}

// The grammar of RFC 7628, section 3.1.
var (
	extensionName  = regexp.MustCompile(`^[A-Za-z]+$`)
	extensionValue = regexp.MustCompile(`^[\x21-\x7e \t\r\n]*$`)
)

func (t *translation) extensions() map[string]string {
	const plain = "sasl.oauthbearer.extensions"
	text := strings.TrimSpace(t.text(plain))
	if text == "" {
		return nil
	}
	extensions := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok || !extensionName.MatchString(name) || name == "auth" || !extensionValue.MatchString(value) {
			t.fault(plain, "is not a list of name=value pairs with names of letters", "write for example logicalCluster=lkc-1,identityPoolId=pool-2")
			return nil
		}
		extensions[name] = value
	}
	return extensions
}
