package kafka

import (
	"maps"
	"slices"
	"strings"
)

const (
	noKerberos = "Kerberos (GSSAPI) is not built into the gateway"
	otherLogin = "let the brokers offer another login on a listener, and write its sasl.mechanisms: SCRAM-SHA-512, SCRAM-SHA-256, PLAIN or OAUTHBEARER; or security.protocol: ssl with ssl.certificate.location and ssl.key.location"
)

// loginErrors are what neither client can log in with. Without them librdkafka would say
// that it has to be recompiled, or wait for a token that nobody makes.
func (c Connection) loginErrors() PropertyErrors {
	t := newTranslation(c.Properties)
	t.wrong = nil // FranzOptions reports it
	const (
		mechanisms = "sasl.mechanisms"
		method     = "sasl.oauthbearer.method"
	)
	for _, plain := range slices.Sorted(maps.Keys(t.given)) {
		if strings.HasPrefix(plain, "sasl.kerberos.") {
			t.fault(plain, "has no effect: "+noKerberos, "leave it out")
		}
	}
	mechanism, given := t.given[mechanisms]
	switch {
	case given && strings.EqualFold(mechanism.value, "GSSAPI"):
		t.fault(mechanisms, noKerberos, otherLogin)
	case given && strings.EqualFold(mechanism.value, "AWS_MSK_IAM"):
		t.fault(mechanisms, "is the name that Java's library for AWS MSK has for IAM, and no program here signs its tokens", onMSK)
	case !t.sasl:
	case !given:
		t.fault("security.protocol", "asks for a login, and sasl.mechanisms is missing; its default is GSSAPI, and "+noKerberos, otherLogin)
	case mechanism.value == "OAUTHBEARER" && slices.Contains([]string{"", "default"}, strings.ToLower(strings.TrimSpace(t.text(method)))):
		const problem = "without sasl.oauthbearer.method: oidc, a program has to make the tokens, such as AWS' signer for MSK with IAM; the gateway has none, so it would never connect"
		at := mechanisms
		if _, said := t.given[method]; said {
			at = method
		}
		t.fault(at, problem, "write sasl.oauthbearer.method: oidc with sasl.oauthbearer.client.id, sasl.oauthbearer.client.secret and sasl.oauthbearer.token.endpoint.url; or, "+onMSK)
	}
	return t.wrong
}

const onMSK = "on AWS MSK, use a secret of SASL/SCRAM (sasl.mechanisms: SCRAM-SHA-512, port 9096) or a client certificate (security.protocol: ssl, port 9094)"

// Compression is the codec that the properties ask for: none, gzip, snappy, lz4 or zstd.
// It is none if they cannot be used.
func (c Connection) Compression() string {
	value := strings.ToLower(strings.TrimSpace(newTranslation(c.Properties).text("compression.type")))
	if value == "" || inherits(value) {
		return "none"
	}
	return value
}
