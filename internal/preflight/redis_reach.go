package preflight

import "fmt"

// addresses reports for each configured address whether it answers. Of several, one
// is enough to connect.
func addresses(f RedisFacts) []Finding {
	const check = "redis.address"
	answering := 0
	for _, a := range f.Addresses {
		if a.Failure == nil {
			answering++
		}
	}
	var list []Finding
	for _, a := range f.Addresses {
		switch {
		case a.Failure == nil && f.Topology != RedisSingle: // a single server is checked in full below
			list = append(list, Finding{OK, check, a.Address, "answers", ""})
		case a.Failure != nil:
			found := redisUnreachable(check, a.Address, *a.Failure)
			if answering > 0 && away(a.Failure.Kind) {
				found.Severity = Warning
				found.What += fmt.Sprintf("; %d of %d answer", answering, len(f.Addresses))
			}
			if f.Topology == RedisSentinel && a.Failure.Kind == FailedNoPassword {
				found.Do = "let the sentinels answer without a password: the gateway has no setting for one"
			}
			list = append(list, found)
		}
	}
	return list
}

// away reports whether the failure is one that the other addresses can make up for.
func away(k FailureKind) bool {
	switch k {
	case FailedRefused, FailedName, FailedTimeout, FailedLoading, FailedFull, FailedSaving:
		return true
	default:
		return false
	}
}

// redisUnreachable is the finding about a server that cannot be asked.
func redisUnreachable(check, subject string, f Failure) Finding {
	what, do := "cannot be asked: "+f.Text, "see what the error says"
	switch f.Kind {
	case FailedRefused:
		what, do = "nothing listens there (connection refused)", "start Redis, or correct redis.addresses"
	case FailedName:
		what, do = "its host name is not known: "+f.Text, "correct redis.addresses, or the names that this machine resolves"
	case FailedTimeout:
		what, do = "does not answer: "+f.Text, "look at the network and the firewalls between this machine and Redis"
	case FailedNoPassword:
		what, do = "wants a password, and the configuration has none", "set redis.password, and redis.username if the user has a name"
	case FailedPassword:
		what, do = "refuses the user name or the password, or the user is switched off", "correct redis.username and redis.password"
	case FailedCertificate:
		what, do = "its certificate is not trusted: "+f.Text, "set redis.tls.ca to the authority that signed it, or redis.tls.server_name to a name that it carries"
	case FailedNoTLS:
		what, do = "does not speak TLS: it answers in plain text", "name Redis' TLS port in redis.addresses, or remove redis.tls"
	case FailedClosed:
		what, do = "closes the connection: "+f.Text, "if this is its TLS port, set redis.tls.enabled: true; if it has no connection left, raise its maxclients"
	case FailedClientCert:
		what, do = "refuses the gateway's certificate, or the lack of one: "+f.Text, "set redis.tls.cert and redis.tls.key to one that Redis trusts"
	case FailedPermission:
		what, do = "the user may not ask it: "+f.Text, "give the user the permissions of docs/operations.md, Redis permissions"
	case FailedLoading:
		what, do = "still reads its data from disk", "wait, then check again"
	case FailedFull:
		what, do = "takes no more connections: "+f.Text, "raise its maxclients; a gateway uses up to 16"
	case FailedSaving:
		what, do = "serves nothing, since it could not save: "+f.Text, "fix its disk: its log says why"
	}
	return Finding{Error, check, subject, what, do}
}

// topology compares what redis.addresses is configured as with what answers there.
func topology(f RedisFacts) []Finding {
	const check = "redis.topology"
	var list []Finding
	masters := make(map[string]string) // to the sentinel that names it
	first := ""
	for _, a := range f.Addresses {
		if what, do := misunderstood(f.Topology, a); what != "" {
			list = append(list, Finding{Error, check, a.Address, what, do})
			continue
		}
		if f.Topology != RedisSentinel || a.Failure != nil {
			continue
		}
		if a.Master == "" {
			list = append(list, Finding{Error, check, a.Address, "the sentinel knows no master by the name in redis.master", "correct redis.master: SENTINEL MASTERS lists the names"})
			continue
		}
		if first == "" {
			first = a.Master
		}
		masters[a.Master] = a.Address
	}
	if len(masters) > 1 {
		list = append(list, Finding{Error, check, "", fmt.Sprintf("the sentinels name %d different masters", len(masters)), "wait if a failover is under way; else make them agree: SENTINEL RESET"})
	}
	if f.NoMasters != nil {
		list = append(list, redisUnreachable(check, "", *f.NoMasters))
	}
	if len(list) == 0 && len(f.Masters) > 0 {
		list = append(list, Finding{OK, check, "", topologyText(f, first), ""})
	}
	return list
}

func topologyText(f RedisFacts, master string) string {
	switch f.Topology {
	case RedisSentinel:
		return "the sentinels name the master " + master
	case RedisCluster:
		return fmt.Sprintf("a Cluster with %d masters", len(f.Masters))
	default:
		return "one server, without Sentinel and Cluster"
	}
}

// misunderstood is the finding about an address that is something else than the
// configuration says.
func misunderstood(t RedisTopology, a RedisAddress) (what, do string) {
	switch {
	case a.Failure != nil || a.Mode == "":
	case t == RedisSentinel && a.Mode != ModeSentinel:
		return "is not a sentinel, but redis.master is set", "name the sentinels in redis.addresses, or remove redis.master"
	case t != RedisSentinel && a.Mode == ModeSentinel:
		return "is a sentinel, but redis.master is empty", "set redis.master to the name by which the sentinels know the master"
	case t == RedisSingle && a.Mode == ModeCluster:
		return "is a node of a Cluster, and one address is taken for a single server: claims of other nodes would be refused", "name at least two of the Cluster's nodes in redis.addresses"
	case t == RedisCluster && a.Mode != ModeCluster:
		return "is not a node of a Cluster, and several addresses are taken for one", "name only this server in redis.addresses, or, for Sentinel, the sentinels with redis.master"
	}
	return "", ""
}
