package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
)

var hostname = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$`)

// splitAddress splits "host:port". It is strict about the host because librdkafka reads
// "SSL://host:9092" and "a:9092,b:9092" as something else.
func splitAddress(address string) (host string, port uint16, ok bool) {
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != digits {
		return "", 0, false
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostname.MatchString(host) {
		return "", 0, false
	}
	return host, uint16(n), true
}

// listen checks the address of a listener; no host is every interface, port 0 a free
// one.
func (v validator) listen(path, address string) {
	_, _, ok := splitAddress(address)
	v.check(ok, path, v.show(path, address)+" is not host:port", "write for example 127.0.0.1:8080, or :8080 for every interface")
}

// sameListener reports whether two listeners would need the same port.
func sameListener(a, b string) bool {
	hostA, portA, okA := splitAddress(a)
	hostB, portB, okB := splitAddress(b)
	if !okA || !okB || portA != portB || portA == 0 {
		return false
	}
	return hostA == hostB || everyInterface(hostA) || everyInterface(hostB)
}

func everyInterface(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// addresses checks a list of servers to connect to.
func (v validator) addresses(path string, list []string) {
	v.check(len(list) > 0, path, "is empty", "name at least one host:port")
	first := make(map[string]int, len(list))
	for i, address := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		host, port, ok := splitAddress(address)
		v.check(ok && host != "" && port != 0, at, v.show(at, address)+" is not host:port", "write for example broker-1.example.com:9092, one address per item")
		if earlier, twice := first[address]; twice && ok {
			v.check(false, at, "is the same address as item "+strconv.Itoa(earlier), "name each once")
			continue
		}
		first[address] = i
	}
}
