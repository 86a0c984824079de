package preflight

import "strings"

// Some services speak Kafka's protocol and refuse parts of it. What can be known from the
// configuration is said before anything is sent: the service itself answers with an error
// that names neither the reason nor the setting.

// eventHubs are the domains of Azure Event Hubs in Azure's clouds.
var eventHubs = []string{".servicebus.windows.net", ".servicebus.usgovcloudapi.net", ".servicebus.chinacloudapi.cn", ".servicebus.cloudapi.de"}

// compression checks the codec against what Azure Event Hubs takes.
func compression(needs KafkaNeeds) []Finding {
	const (
		check = "kafka.compression"
		do    = "write compression.type: none in kafka.properties, or leave it out"
	)
	host := eventHub(needs.Bootstrap)
	switch {
	case host == "":
		return nil
	case needs.Compression == "" || needs.Compression == "none":
		return []Finding{{Severity: OK, Check: check, Subject: host, What: "records are not compressed, which every tier of Azure Event Hubs takes"}}
	case needs.Compression == "gzip":
		return []Finding{{
			Severity: Warning, Check: check, Subject: host,
			What: "Azure Event Hubs takes gzip in its tiers Premium and Dedicated only; in the others it refuses every record, with UNSUPPORTED_FOR_MESSAGE_FORMAT", Do: do + ", unless the namespace is of one of these tiers",
		}}
	}
	return []Finding{{
		Severity: Error, Check: check, Subject: host,
		What: "Azure Event Hubs does not take records compressed with " + needs.Compression + ": it refuses every one, with UNSUPPORTED_FOR_MESSAGE_FORMAT, and all events with it", Do: do + "; gzip works in the tiers Premium and Dedicated",
	}}
}

// eventHub is the first of the addresses that is an Event Hubs namespace's, empty if there
// is none.
func eventHub(bootstrap string) string {
	for address := range strings.SplitSeq(bootstrap, ",") {
		host, _, _ := strings.Cut(strings.ToLower(address), ":")
		for _, domain := range eventHubs {
			if strings.HasSuffix(strings.TrimSuffix(host, "."), domain) {
				return address
			}
		}
	}
	return ""
}
