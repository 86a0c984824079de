package kafka

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

func inFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// echoTLS is a server that sends back what it gets, and the subjects of its clients'
// certificates.
func echoTLS(t *testing.T, config *tls.Config) (address string, clients <-chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	names, ended := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			secure := tls.Server(conn, config)
			_ = secure.SetDeadline(time.Now().Add(10 * time.Second))
			if secure.Handshake() == nil {
				name := ""
				if certificates := secure.ConnectionState().PeerCertificates; len(certificates) > 0 {
					name = certificates[0].Subject.CommonName
				}
				names <- name
				_, _ = io.CopyN(secure, secure, 4)
			}
			_ = secure.Close()
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, ln.Close())
		<-ended
	})
	return ln.Addr().String(), names
}

// dialWith dials as a client with these properties does, and says something.
func dialWith(t *testing.T, address string, properties map[string]string) error {
	t.Helper()
	tr := newTranslation(properties)
	dialer := tr.dialer()
	require.NoError(t, tr.err())
	require.Empty(t, tr.missing)
	conn, err := dialer.dial(t.Context(), "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	if _, err := conn.Write([]byte("ping")); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 4)) // with TLS 1.3 a refused client certificate is noticed here
	return err
}

func TestFranzTLSVerifiesTheBroker(t *testing.T) {
	t.Parallel()
	own, other := services.NewAuthority(t, "own"), services.NewAuthority(t, "other")
	serve := func(hosts ...string) string {
		certificate, key := own.Sign(t, "broker", hosts...)
		pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
		require.NoError(t, err)
		address, _ := echoTLS(t, &tls.Config{Certificates: []tls.Certificate{pair}})
		return address
	}
	right, elsewhere := serve("127.0.0.1"), serve("broker-1.example.com", "127.0.0.2")
	folder := filepath.Dir(inFile(t, "0123abcd.0", own.PEM))
	notHashed := filepath.Dir(inFile(t, "ca.pem", own.PEM))
	require.NoError(t, os.WriteFile(filepath.Join(notHashed, "89abcdef.0"), []byte(other.PEM), 0o600))

	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	for name, c := range map[string]struct {
		address    string
		properties map[string]string
		want       any
	}{
		"authority in a file":                {right, map[string]string{"ssl.ca.location": inFile(t, "ca.pem", own.PEM)}, nil},
		"authority as text":                  {right, map[string]string{"ssl.ca.pem": own.PEM}, nil},
		"authority in a folder":              {right, map[string]string{"ssl.ca.location": folder}, nil},
		"file and text":                      {right, map[string]string{"ssl.ca.location": inFile(t, "ca.pem", other.PEM), "ssl.ca.pem": own.PEM}, nil},
		"suites and curves":                  {right, map[string]string{"ssl.ca.pem": own.PEM, "ssl.cipher.suites": "ECDHE-ECDSA-AES128-GCM-SHA256", "ssl.curves.list": "P-256"}, nil},
		"another authority":                  {right, map[string]string{"ssl.ca.pem": other.PEM}, &unknown},
		"name that OpenSSL does not look at": {right, map[string]string{"ssl.ca.location": notHashed}, &unknown},
		"the system's authorities":           {right, nil, &unknown},
		"another name":                       {elsewhere, map[string]string{"ssl.ca.pem": own.PEM}, &hostname},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			properties := map[string]string{"security.protocol": "ssl"}
			for k, v := range c.properties {
				properties[k] = v
			}
			err := dialWith(t, c.address, properties)
			switch want := c.want.(type) {
			case nil:
				require.NoError(t, err)
			case *x509.UnknownAuthorityError:
				target := *want
				require.ErrorAs(t, err, &target)
			case *x509.HostnameError:
				target := *want
				require.ErrorAs(t, err, &target)
			}
		})
	}
}

func TestFranzTLSShowsItsCertificate(t *testing.T) {
	t.Parallel()
	own := services.NewAuthority(t, "own")
	certificate, key := own.Sign(t, "broker", "127.0.0.1")
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(own.Certificate)
	address, clients := echoTLS(t, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})

	mine, myKey := own.Sign(t, "gateway")
	block, _ := pem.Decode([]byte(myKey))
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	der, err := x509.MarshalECPrivateKey(private.(*ecdsa.PrivateKey))
	require.NoError(t, err)
	old, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte("secret"), x509.PEMCipherAES256) //nolint:staticcheck // the old form is what is tested
	require.NoError(t, err)
	encrypted := string(pem.EncodeToMemory(old))
	for name, properties := range map[string]map[string]string{
		"files":                      {"ssl.certificate.location": inFile(t, "c.pem", mine), "ssl.key.location": inFile(t, "k.pem", myKey)},
		"texts":                      {"ssl.certificate.pem": mine, "ssl.key.pem": myKey},
		"a password without use":     {"ssl.certificate.pem": mine, "ssl.key.pem": myKey, "ssl.key.password": "secret"},
		"a key with a passphrase":    {"ssl.certificate.pem": mine, "ssl.key.pem": encrypted, "ssl.key.password": "secret"},
		"the text before the folder": {"ssl.certificate.pem": mine, "ssl.key.pem": myKey, "ssl.key.location": "/does/not/exist"},
	} {
		properties["security.protocol"], properties["ssl.ca.pem"] = "ssl", own.PEM
		require.NoError(t, dialWith(t, address, properties), name)
		require.Equal(t, "gateway", <-clients, name)
	}
	require.Error(t, dialWith(t, address, map[string]string{"security.protocol": "ssl", "ssl.ca.pem": own.PEM}), "no certificate")

	for properties, want := range map[string]string{
		encrypted: "kafka.properties.ssl.key.password: does not decrypt the key; give the passphrase of the key's file",
		string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})): "lacks ssl.key.pem: Go's standard library does not decrypt PKCS#8; give the key without a passphrase",
		string(pem.EncodeToMemory(&pem.Block{Type: "DSA PRIVATE KEY", Bytes: []byte("x")})):       "lacks ssl.key.pem: Go cannot use it with ssl.certificate.pem: tls: failed to parse private key",
	} {
		require.Equal(t, want, translated(map[string]string{
			"security.protocol": "ssl", "ssl.ca.pem": own.PEM, "ssl.certificate.pem": mine, "ssl.key.pem": properties, "ssl.key.password": "another",
		}))
	}
}

// TestFranzDialTimeout: a host that takes connections and says nothing.
func TestFranzDialTimeout(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = ln.Close() }()
	d := franzDialer{network: "tcp", timeout: 50 * time.Millisecond, userTimeout: time.Second, tls: &tls.Config{}}
	_, err = d.dial(t.Context(), "tcp", ln.Addr().String())
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
}

// TestFranzSendsNothingAfterClosing: what the kernel has buffered for a broker that does
// not read is discarded, and closing does not wait.
func TestFranzSendsNothingAfterClosing(t *testing.T) {
	t.Parallel()
	own := services.NewAuthority(t, "own")
	certificate, key := own.Sign(t, "broker", "127.0.0.1")
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	require.NoError(t, err)
	for _, secure := range []bool{false, true} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		d := franzDialer{network: "tcp", timeout: 10 * time.Second, userTimeout: 10 * time.Second}
		accepted := make(chan net.Conn, 1)
		go func() {
			conn, err := ln.Accept()
			if err == nil && secure {
				server := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}})
				err = server.Handshake()
			}
			if err == nil {
				accepted <- conn
			}
			close(accepted)
		}()
		if secure {
			tr := newTranslation(map[string]string{"security.protocol": "ssl", "ssl.ca.pem": own.PEM})
			d.tls = tr.dialer().tls
		}
		conn, err := d.dial(t.Context(), "tcp", ln.Addr().String())
		require.NoError(t, err)
		server := <-accepted
		require.NotNil(t, server)

		// Fill both sockets' buffers, below TLS: after a failed write it says no goodbye.
		below := conn
		if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
			below = wrapped.NetConn()
		}
		sent := 0
		for before := -1; before < sent; { // until the kernel takes nothing at all
			before = sent
			require.NoError(t, below.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
			full := error(nil)
			for full == nil {
				n := 0
				n, full = below.Write(make([]byte, 512))
				sent += n
			}
			require.ErrorIs(t, full, os.ErrDeadlineExceeded)
		}
		begun := time.Now()
		require.NoError(t, conn.Close())
		require.Less(t, time.Since(begun), 4*time.Second, "TLS would wait 5 s to say goodbye")

		require.NoError(t, server.SetReadDeadline(time.Now().Add(10*time.Second)))
		arrived, err := io.Copy(io.Discard, server)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Less(t, arrived, int64(sent), "secure: %v", secure)
		require.NoError(t, server.Close())
		require.NoError(t, ln.Close())
	}
}
