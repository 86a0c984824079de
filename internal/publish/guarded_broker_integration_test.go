//go:build integration

package publish

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/test/services"
)

const (
	guardedTopic  = "guarded"
	rightPassword = "right, and=more; +1"
)

// The users of the guarded broker are named after how they log in. Each may write and
// read one topic; nobody else may.
const (
	plainUser, scram256User, scram512User, tokenUser = "by-plain", "by-scram-256", "by-scram-512", "by-token"
	certificateUser                                  = "CN=by-certificate"
)

// guardedBroker has three listeners: one for the test, which may do everything, one with
// TLS and SASL, and one with TLS that asks for certificates.
type guardedBroker struct {
	open, login, mutual string // host:port
	authority           *services.Authority
	tokens              *issuer
}

func startGuardedBroker(t *testing.T) guardedBroker {
	t.Helper()
	var ports [4]int
	for i := range ports {
		var err error
		ports[i], err = services.FreePort()
		require.NoError(t, err)
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	g := guardedBroker{open: at(0), login: at(2), mutual: at(3), authority: services.NewAuthority(t, "own"), tokens: startIssuer(t)}
	certificate, key := g.authority.Sign(t, "broker", "127.0.0.1")
	identity, trusted := inFile(t, "broker.pem", key+certificate), inFile(t, "ca.pem", g.authority.PEM)
	const modules = "org.apache.kafka.common.security."
	k, err := services.StartKafka(t.Context(), services.KafkaConfig{
		Dir: t.TempDir(), Port: ports[0], ControllerPort: ports[1],
		// Kafka 4 asks only those URLs for keys that this property lists.
		JVMArgs: []string{"-Xms192m", "-Xmx256m", "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=" + g.tokens.keysURL()},
		Properties: map[string]string{
			"listeners":                                     fmt.Sprintf("PLAINTEXT://%s,CONTROLLER://%s,LOGIN://%s,MUTUAL://%s", at(0), at(1), at(2), at(3)),
			"advertised.listeners":                          fmt.Sprintf("PLAINTEXT://%s,LOGIN://%s,MUTUAL://%s", at(0), at(2), at(3)),
			"listener.security.protocol.map":                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_SSL,MUTUAL:SSL",
			"authorizer.class.name":                         "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"super.users":                                   "User:ANONYMOUS",
			"allow.everyone.if.no.acl.found":                "false",
			"ssl.keystore.type":                             "PEM",
			"ssl.keystore.location":                         identity,
			"ssl.truststore.type":                           "PEM",
			"ssl.truststore.location":                       trusted,
			"listener.name.mutual.ssl.client.auth":          "required",
			"listener.name.login.sasl.enabled.mechanisms":   "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
			"listener.name.login.connections.max.reauth.ms": "3600000",

			"listener.name.login.plain.sasl.jaas.config":                         fmt.Sprintf("%splain.PlainLoginModule required user_%s=%q;", modules, plainUser, rightPassword),
			"listener.name.login.scram-sha-256.sasl.jaas.config":                 modules + "scram.ScramLoginModule required;",
			"listener.name.login.scram-sha-512.sasl.jaas.config":                 modules + "scram.ScramLoginModule required;",
			"listener.name.login.oauthbearer.sasl.jaas.config":                   modules + "oauthbearer.OAuthBearerLoginModule required;",
			"listener.name.login.oauthbearer.sasl.server.callback.handler.class": modules + "oauthbearer.OAuthBearerValidatorCallbackHandler",
			"listener.name.login.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": g.tokens.keysURL(),
			"listener.name.login.oauthbearer.sasl.oauthbearer.expected.audience": issuerAudience,
			"listener.name.login.oauthbearer.sasl.oauthbearer.expected.issuer":   issuerName,
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Kill()) })
	g.prepare(t)
	return g
}

// prepare creates the topic, the users of SCRAM, and the permissions.
func (g guardedBroker) prepare(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(g.open))
	require.NoError(t, err)
	defer client.Close()
	admin := kadm.NewClient(client)
	_, err = admin.CreateTopic(ctx, 1, 1, nil, guardedTopic)
	require.NoError(t, err)
	users, err := admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{
		{User: scram256User, Mechanism: kadm.ScramSha256, Iterations: 4096, Password: rightPassword},
		{User: scram512User, Mechanism: kadm.ScramSha512, Iterations: 4096, Password: rightPassword},
	})
	require.NoError(t, err)
	require.NoError(t, users.Error())
	for _, user := range []string{plainUser, scram256User, scram512User, tokenUser, certificateUser} {
		results, err := admin.CreateACLs(ctx, kadm.NewACLs().Topics(guardedTopic).ResourcePatternType(kadm.ACLPatternLiteral).
			Allow("User:"+user).AllowHosts().Operations(kadm.OpWrite, kadm.OpRead))
		require.NoError(t, err)
		for _, r := range results {
			require.NoError(t, r.Err)
		}
	}
}

// by returns a configuration with SASL over TLS.
func (g guardedBroker) by(mechanism, user, password string) Config {
	return Config{Brokers: []string{g.login}, Properties: map[string]string{
		"security.protocol": "sasl_ssl", "ssl.ca.pem": g.authority.PEM, "sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password,
	}}
}

func (g guardedBroker) byToken(client, secret string) Config {
	return Config{Brokers: []string{g.login}, Properties: map[string]string{
		"security.protocol": "sasl_ssl", "ssl.ca.pem": g.authority.PEM, "sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc",
		"sasl.oauthbearer.client.id": client, "sasl.oauthbearer.client.secret": secret, "sasl.oauthbearer.scope": "write read",
		"sasl.oauthbearer.token.endpoint.url": g.tokens.server.URL + "/token", "sasl.oauthbearer.extensions": "team=orders",
	}}
}

func (g guardedBroker) byCertificate(t *testing.T) Config {
	t.Helper()
	certificate, key := g.authority.Sign(t, "by-certificate")
	return Config{Brokers: []string{g.mutual}, Properties: map[string]string{
		"security.protocol": "ssl", "ssl.ca.location": inFile(t, "ca.pem", g.authority.PEM),
		"ssl.certificate.location": inFile(t, "c.pem", certificate), "ssl.key.location": inFile(t, "k.pem", key),
	}}
}

func inFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// written reports whether a value is in the topic.
func (g guardedBroker) written(t *testing.T, value string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(g.open), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{guardedTopic: {0: kgo.NewOffset().AtStart()}}))
	require.NoError(t, err)
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, guardedTopic)
	require.NoError(t, err)
	end, _ := ends.Lookup(guardedTopic, 0)
	for next := int64(0); next < end.Offset; {
		fetches := client.PollFetches(ctx)
		require.NoError(t, fetches.Err())
		for r := range fetches.RecordsAll() {
			if string(r.Value) == value {
				return true
			}
			next = r.Offset + 1
		}
	}
	return false
}

const (
	issuerName, issuerAudience = "https://login.example.com", "kafka"
	issuerClient, issuerSecret = "gateway", "client secret"
	// The tokens of clients whose names begin with issuerShortClient live for shortLife, those of the other for an hour.
	issuerShortClient, shortLife = "gateway-short-", 10 * time.Second
)

// issuer is an OIDC provider: a token endpoint and the keys of its signatures.
type issuer struct {
	server *httptest.Server
	key    *rsa.PrivateKey
	mu     sync.Mutex
	agents []agent // that got tokens
}

func startIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "1", ALG: jwkset.AlgRS256, USE: jwkset.UseSig}})
	require.NoError(t, err)
	i := &issuer{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{public.Marshal()}})
	})
	mux.HandleFunc("POST /token", i.token)
	i.server = httptest.NewServer(mux)
	t.Cleanup(i.server.Close)
	return i
}

// agent is a client's id and the program that asked.
type agent struct{ id, program string }

// issuedTo is how many tokens a client got, by programs of this name and by others.
func (i *issuer) issuedTo(id, program string) (by, others int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, a := range i.agents {
		switch {
		case a.id != id:
		case strings.HasPrefix(a.program, program):
			by++
		default:
			others++
		}
	}
	return by, others
}

func (i *issuer) keysURL() string { return i.server.URL + "/keys" }

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	id, secret, ok := r.BasicAuth()
	short := strings.HasPrefix(id, issuerShortClient)
	if !ok || id != issuerClient && !short || secret != issuerSecret || r.PostFormValue("grant_type") != "client_credentials" {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"no such client"}`))
		return
	}
	life := time.Hour
	if short {
		life = shortLife
	}
	i.mu.Lock()
	i.agents = append(i.agents, agent{id, r.UserAgent()})
	i.mu.Unlock()
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": issuerName, "aud": issuerAudience, "sub": tokenUser, "scope": r.PostFormValue("scope"), "iat": now.Unix(), "exp": now.Add(life).Unix(),
	})
	token.Header["kid"] = "1"
	signed, err := token.SignedString(i.key)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": signed, "token_type": "Bearer", "expires_in": life.Seconds()})
}
