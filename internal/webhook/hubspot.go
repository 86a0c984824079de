package webhook

import "strings"

// hubspotDecodes are the escapes that HubSpot's documentation says to undo in the
// URL before it is signed, and no others.
var hubspotDecodes = strings.NewReplacer(
	"%3A", ":", "%2F", "/", "%3F", "?", "%40", "@", "%21", "!", "%24", "$", "%27", "'", "%28", "(", "%29", ")", "%2A", "*", "%2C", ",", "%3B", ";",
	"%3a", ":", "%2f", "/", "%3f", "?", "%2a", "*", "%2c", ",", "%3b", ";",
)

// hubspotSpec is signature v3.
var hubspotSpec = hmacSpec{
	header: "X-Hubspot-Signature-V3", encoding: encodingBase64, signed: mustTemplate("{method}{url}{body}{timestamp}"),
	timestamp: "X-Hubspot-Request-Timestamp", format: unixMilliseconds, url: hubspotDecodes.Replace,
}
