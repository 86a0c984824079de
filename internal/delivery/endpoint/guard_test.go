package endpoint

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGuardDeniesWhatIsNotPublic(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.9.9.9",
		"169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
		"192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
		"100::1", "2001:db8::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
		"168.63.129.16", "100.100.100.200",
	} {
		require.Error(t, guard{}.judge(netip.MustParseAddr(address)), address)
	}
	for _, address := range []string{"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.0.1.1", "198.17.0.1", "2606:4700::1111", "2a00:1450::1"} {
		require.NoError(t, guard{}.judge(netip.MustParseAddr(address)), address)
		require.Error(t, guard{plain: true}.judge(netip.MustParseAddr(address)), address)
	}
}

func TestGuardOpensOnlyWhatIsNamed(t *testing.T) {
	t.Parallel()
	g := guard{allow: prefixes("10.1.0.0/16", "169.254.0.0/16", "0.0.0.0/0", "::/0"), plain: true}
	require.NoError(t, g.judge(netip.MustParseAddr("10.1.2.3")))
	require.NoError(t, g.judge(netip.MustParseAddr("::ffff:10.1.2.3")))
	for _, address := range []string{"169.254.169.254", "::ffff:169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"} {
		require.ErrorContains(t, g.judge(netip.MustParseAddr(address)), "metadata", address)
	}
	require.Error(t, guard{allow: prefixes("10.1.0.0/16")}.judge(netip.MustParseAddr("10.2.0.1")))
}

func TestGuardControl(t *testing.T) {
	t.Parallel()
	var blocked *BlockedError
	require.ErrorAs(t, guard{}.control("tcp4", "127.0.0.1:80", nil), &blocked)
	require.ErrorAs(t, guard{}.control("tcp6", "[::1]:80", nil), &blocked)
	require.ErrorAs(t, guard{}.control("unix", "/run/docker.sock", nil), &blocked)
	require.ErrorAs(t, guard{}.control("udp4", "1.1.1.1:53", nil), &blocked)
	require.NoError(t, guard{}.control("tcp4", "1.1.1.1:443", nil))
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	inside := prefixes("10.0.0.0/8")
	for text, allow := range map[string][]netip.Prefix{
		"": nil, "example.com": nil, "/events": nil, "ftp://example.com": nil, "http://example.com": nil, "https://user:pass@example.com": nil,
		"https://": nil, "https://127.0.0.1/": nil, "https://[::1]/": nil, "https://[::ffff:10.0.0.1]/": nil, "http://169.254.169.254/": inside, "https://example.com/#x": nil,
	} {
		require.Error(t, checkURL(text, guard{allow: allow}), text)
	}
	for text, allow := range map[string][]netip.Prefix{"https://example.com/a?b=c": nil, "http://10.1.2.3/": inside, "http://inside.example.com/": inside} {
		require.NoError(t, checkURL(text, guard{allow: allow}), text)
	}
}
