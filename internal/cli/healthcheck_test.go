package cli

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// adminOf starts an admin listener with these handlers and returns its address.
func adminOf(t *testing.T, livez, readyz http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", livez)
	mux.HandleFunc("GET /readyz", readyz)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	away := `{"ready":false,"checks":{"kafka":{"ok":false,"error":"no broker answers"}}}`
	waiting := adminOf(t, answer(200, "ok\n"), answer(503, away+"\n"))
	ready := adminOf(t, answer(200, "ok\n"), answer(200, `{"ready":true}`))
	elsewhere := adminOf(t, http.RedirectHandler("http://"+ready+"/livez", http.StatusFound).ServeHTTP, http.NotFound)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := closed.Addr().String()
	require.NoError(t, closed.Close())
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(file, []byte("auth: none\nadmin: {listen: \""+ready+"\"}\n"), 0o600))

	for name, c := range map[string]struct {
		args   []string
		status int
		out    string
		errOut string
	}{
		"alive":                       {[]string{"--admin", ready}, 0, "ok\n", ""},
		"ready":                       {[]string{"--ready", "--admin", ready}, 0, `"ready":true`, ""},
		"alive though Kafka is away":  {[]string{"--admin", waiting}, 0, "ok\n", ""},
		"not ready, as Kafka is away": {[]string{"--ready", "--admin", waiting}, 1, "", "answers 503: " + away},
		"nobody listens":              {[]string{"--admin", nobody}, 1, "", "connection refused"},
		"a redirect is no answer":     {[]string{"--admin", elsewhere}, 1, "", "answers 302"},
		"from the file":               {[]string{"-c", file}, 0, "ok\n", ""},
		"no such file":                {[]string{"-c", file + ".missing"}, 1, "", "gateway.yaml.missing"},
		"address and file":            {[]string{"-c", file, "--admin", ready}, 2, "", "not both"},
		"no address":                  {[]string{"--admin", "nowhere"}, 2, "", `"nowhere" is not host:port`},
		"any port":                    {[]string{"--admin", "127.0.0.1:0"}, 2, "", "does not name a port"},
		"one too many":                {[]string{"now"}, 2, "", `"now" is one argument too many`},
		"help":                        {[]string{"--help"}, 0, "Alive is not ready", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			require.Equal(t, c.status, run(append([]string{"healthcheck"}, c.args...), &out, &errOut), errOut.String())
			require.Contains(t, out.String(), c.out)
			require.Contains(t, errOut.String(), c.errOut)
		})
	}
}

func TestAdminAddress(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(file, []byte("auth: none\nadmin: {listen: \"127.0.0.1:9191\"}\n"), 0o600))
	for name, c := range map[string]struct {
		given, file string
		environ     []string
		want        string
	}{
		"default":                  {want: "127.0.0.1:9090"},
		"variable":                 {environ: []string{"GATEWAY_ADMIN_LISTEN=:9091"}, want: "127.0.0.1:9091"},
		"other variables":          {environ: []string{"GATEWAY_AUTH=no such", "X=1"}, want: "127.0.0.1:9090"},
		"file":                     {file: file, want: "127.0.0.1:9191"},
		"variable over file":       {file: file, environ: []string{"GATEWAY_ADMIN_LISTEN=[::1]:9092"}, want: "[::1]:9092"},
		"flag over variable":       {given: "0.0.0.0:9093", environ: []string{"GATEWAY_ADMIN_LISTEN=:9091"}, want: "127.0.0.1:9093"},
		"every interface, in IPv6": {given: "[::]:9094", want: "127.0.0.1:9094"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := adminAddress(c.given, c.file, c.environ)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}
