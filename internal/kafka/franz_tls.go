package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// tlsConfig translates the ssl.* properties. The broker's certificate is always
// verified, and its name too: internal/config refuses properties that say otherwise.
func (t *translation) tlsConfig() *tls.Config {
	config := &tls.Config{
		MinVersion:       tls.VersionTLS12, // as in librdkafka's OpenSSL
		RootCAs:          t.authorities("ssl.ca.location", "ssl.ca.pem"),
		CipherSuites:     t.cipherSuites(),
		CurvePreferences: t.curves(),
	}
	if !t.boolean("enable.ssl.certificate.verification", true) {
		t.fault("enable.ssl.certificate.verification", "must stay true: anybody could be the broker", "leave it out")
	}
	if t.oneOf("ssl.endpoint.identification.algorithm", "https", "none") == "none" {
		t.fault("ssl.endpoint.identification.algorithm", "must stay https: any holder of a certificate could be the broker", "leave it out")
	}
	if certificate := t.clientCertificate(); certificate != nil {
		config.Certificates = []tls.Certificate{*certificate}
	}
	return config
}

const pemFix = "name a PEM file that the gateway may read"

// authorities are those of a file or folder and of a text, nil for the system's.
func (t *translation) authorities(location, text string) *x509.CertPool {
	pool, own := x509.NewCertPool(), false
	if path := t.text(location); path != "" && path != "probe" { // probe: the system's places
		own = true
		content, err := readAuthorities(path)
		switch {
		case err != nil:
			t.fault(location, withoutPath(err), pemFix)
		case !pool.AppendCertsFromPEM(content):
			t.fault(location, "has no certificate in PEM form", pemFix)
		}
	}
	if content := t.text(text); content != "" {
		own = true
		if !pool.AppendCertsFromPEM([]byte(content)) {
			t.fault(text, "has no certificate in PEM form", "write what the file of the authority has, with its line breaks")
		}
	}
	if !own {
		return nil
	}
	return pool
}

// hashedName is what OpenSSL looks for in a folder of authorities.
var hashedName = regexp.MustCompile(`^[0-9a-f]{8}\.[0-9]+$`)

func readAuthorities(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return os.ReadFile(path) //nolint:gosec // the operator names the file
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, entry := range entries {
		if !hashedName.MatchString(entry.Name()) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(path, entry.Name())) //nolint:gosec // in the operator's folder
		if err != nil {
			return nil, err
		}
		all = append(append(all, content...), '\n')
	}
	return all, nil
}

// clientCertificate is nil if none is configured, or if it cannot be used.
func (t *translation) clientCertificate() *tls.Certificate {
	certificate, certificateName, ok := t.pemOf("ssl.certificate.pem", "ssl.certificate.location")
	key, keyName, keyOK := t.pemOf("ssl.key.pem", "ssl.key.location")
	switch {
	case !ok || !keyOK:
		return nil
	case certificate == nil && key == nil:
		return nil
	case key == nil:
		t.fault(certificateName, "is given without its key", "give ssl.key.location too")
		return nil
	case certificate == nil:
		t.fault(keyName, "is given without its certificate", "give ssl.certificate.location too")
		return nil
	}
	key, ok = t.decrypted(key, keyName)
	if !ok {
		return nil
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		// What Go cannot read, OpenSSL may: old kinds of keys, for example.
		t.lack(keyName, "Go cannot use it with "+certificateName+": "+err.Error())
		return nil
	}
	return &pair
}

// pemOf reads a property that has a text, or else the one that names a file. It returns
// which of them it was.
func (t *translation) pemOf(text, location string) (content []byte, plain string, ok bool) {
	if value := t.text(text); value != "" {
		return []byte(value), text, true
	}
	path := t.text(location)
	if path == "" {
		return nil, location, true
	}
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		t.fault(location, withoutPath(err), pemFix)
		return nil, location, false
	}
	return content, location, true
}

// decrypted removes the passphrase of a key in the old PEM form (RFC 1423), which the
// standard library can do. A key without passphrase ignores ssl.key.password.
func (t *translation) decrypted(key []byte, plain string) ([]byte, bool) {
	block, _ := pem.Decode(key)
	switch {
	case block == nil:
		t.fault(plain, "has no key in PEM form", pemFix)
		return nil, false
	case block.Type == "ENCRYPTED PRIVATE KEY":
		t.lack(plain, "Go's standard library does not decrypt PKCS#8; give the key without a passphrase")
		return nil, false
	case !x509.IsEncryptedPEMBlock(block): //nolint:staticcheck // the form is old, the operator's file has it
		return key, true
	}
	plainKey, err := x509.DecryptPEMBlock(block, []byte(t.text("ssl.key.password"))) //nolint:staticcheck // see above
	if err != nil {
		t.fault("ssl.key.password", "does not decrypt the key", "give the passphrase of the key's file")
		return nil, false
	}
	return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: plainKey}), true
}

// withoutPath is the reason why a file could not be read. Its name may come from a
// variable, and is where the operator can see it.
func withoutPath(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return "cannot be read: " + err.Error()
}

// franzCiphers are OpenSSL's names of what Go's TLS has below version 1.3. Neither
// client lets the suites of 1.3 be chosen by this property.
var franzCiphers = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
}

func (t *translation) cipherSuites() []uint16 {
	const plain = "ssl.cipher.suites"
	return namedOnes(t, plain, strings.FieldsFunc(t.text(plain), func(r rune) bool { return r == ':' || r == ',' || r == ' ' }), franzCiphers)
}

// franzCurves are OpenSSL's names of what Go's TLS has.
var franzCurves = map[string]tls.CurveID{
	"X25519": tls.X25519, "x25519": tls.X25519,
	"P-256": tls.CurveP256, "prime256v1": tls.CurveP256, "secp256r1": tls.CurveP256,
	"P-384": tls.CurveP384, "secp384r1": tls.CurveP384,
	"P-521": tls.CurveP521, "secp521r1": tls.CurveP521,
	"X25519MLKEM768": tls.X25519MLKEM768,
}

func (t *translation) curves() []tls.CurveID {
	const plain = "ssl.curves.list"
	return namedOnes(t, plain, strings.FieldsFunc(t.text(plain), func(r rune) bool { return r == ':' }), franzCurves)
}

// namedOnes translates a list of OpenSSL's names, nil for none.
func namedOnes[T any](t *translation, plain string, names []string, known map[string]T) []T {
	var list []T
	for _, name := range names {
		one, ok := known[name]
		if !ok {
			t.lack(plain, "Go's TLS does not have all that it names")
			return nil
		}
		list = append(list, one)
	}
	return list
}
