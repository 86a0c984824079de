package idempotency

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	k := newKeyspace("production")
	const start = "gw:q44Y706" // of the SHA-256, by another program
	for bucket := range bucketCount {
		id := event.ClaimID{byte(bucket), '{', '}', 0xff, 0, '\n'}
		id[16], id[17] = 'y', 'z'
		tag := start + fmt.Sprintf("{%02x}", bucket) // Redis Cluster takes the first pair of braces
		require.Equal(t, byte(bucket), bucketOf(id))
		require.Equal(t, tag+":m", k.marker(byte(bucket)))
		require.Equal(t, tag+":l", k.lock(byte(bucket)))
		require.Equal(t, tag+"{}\xff\x00\n"+"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00y", k.claim(id))
		require.Len(t, k.claim(id), claimKeyBytes)
	}
	require.LessOrEqual(t, claimKeyBytes, 30, "a longer key takes 16 bytes more of Redis' memory")
}

func TestInstallationsHaveKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, name := range []string{"", "staging", "production", "Production", "lkc-1", "MkU3OEVBNTcwNTJENDM2Qk"} {
		tag := InstallationTag(name)
		require.Len(t, tag, installationChars)
		require.Empty(t, seen[tag], "%q has the keys of another", name)
		seen[tag] = name
	}
}

func TestQuoteKey(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"gw:abc{00}:m":         `"gw:abc{00}:m"`,
		"a\x00\xff\n b":        `"a\x00\xff\x0a b"`,
		`quotes " ' and \ too`: `"quotes \" \x27 and \\ too"`,
		"":                     `""`,
	} {
		require.Equal(t, want, QuoteKey(key))
	}
}
