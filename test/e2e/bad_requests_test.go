//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"strings"
)

const jsonType = "Content-Type: application/json\r\n"

// validOrder is data that the schema accepts.
func validOrder() string { return string(newOrder("bad", 0).body) }

// padded is valid data of n bytes.
func padded(n int) string {
	valid := validOrder()
	return valid + strings.Repeat(" ", n-len(valid))
}

// with is valid data with one more member.
func with(member string) string { return validOrder()[:len(validOrder())-1] + "," + member + "}" }

func badBodies() (all []badRequest) {
	for name, body := range map[string]string{
		"empty":                       "",
		"blank":                       " \r\n\t",
		"half":                        validOrder()[:20],
		"no JSON":                     "orderId=1",
		"single quotes":               "{'orderId':'1'}",
		"comment":                     "{/*x*/}",
		"trailing comma":              `{"a":1,}`,
		"duplicate name":              with(`"orderId":"other"`),
		"duplicate name in escapes":   with(`"\u006frderId":"other"`),
		"duplicate name, deep":        with(`"x":{"y":[{"z":1,"z":2}]}`),
		"invalid UTF-8":               with("\"x\":\"\xff\xfe\""),
		"overlong UTF-8":              with("\"x\":\"\xc0\xaf\""),
		"lone surrogate":              with(`"x":"\ud800"`),
		"surrogates the wrong way":    with(`"x":"\ude00\ud83d"`),
		"control character":           with("\"x\":\"\x01\""),
		"byte order mark":             "\xef\xbb\xbf" + validOrder(),
		"UTF-16":                      "\xff\xfe{\x00}\x00",
		"second value":                validOrder() + validOrder(),
		"trailing data":               validOrder() + "x",
		"trailing NUL":                validOrder() + "\x00",
		"65 levels":                   with(`"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64)),
		"50,000 open brackets":        strings.Repeat("[", 50_000),
		"10,000 open objects":         strings.Repeat(`{"a":`, 10_000),
		"NaN":                         with(`"x":NaN`),
		"Infinity":                    with(`"x":-Infinity`),
		"leading zero":                with(`"x":01`),
		"plus sign":                   with(`"x":+1`),
		"hexadecimal":                 with(`"x":0x10`),
		"exponent 401":                with(`"x":1e401`),
		"exponent -401":               with(`"x":1e-401`),
		"1e9999999":                   with(`"x":1e9999999`),
		"1e9999999 as a quantity":     strings.Replace(validOrder(), `"quantity":2`, `"quantity":1e9999999`, 1),
		"exponent of 20 digits":       with(`"x":1e99999999999999999999`),
		"a kilobyte of 9e999999":      with(`"x":[` + strings.Repeat("9e999999,", 113) + "0]"),
		"a kilobyte of 9e999999, run": with(`"x":` + strings.Repeat("9e999999", 128)),
		"number of 1,001 characters":  with(`"x":` + strings.Repeat("9", 1001)),
		"fraction of 60,000 digits":   with(`"x":0.` + strings.Repeat("3", 60_000)),
	} {
		all = append(all, badRequest{name: "JSON: " + name, text: rawRequest("/v1/events/bad", jsonType, body), status: http.StatusBadRequest, slug: "malformed-json"})
	}
	for name, body := range map[string]string{
		"no object":       `[]`,
		"null":            `null`,
		"missing members": `{}`,
		"wrong types":     strings.Replace(validOrder(), `"quantity":2`, `"quantity":"2"`, 1),
		"fraction":        strings.Replace(validOrder(), `"quantity":2`, `"quantity":2.5`, 1),
		"64 levels":       strings.Replace(validOrder(), `"quantity":2`, `"quantity":`+strings.Repeat("[", 61)+strings.Repeat("]", 61), 1),
		"exponent 400":    strings.Replace(validOrder(), `"quantity":2`, `"quantity":-1e400`, 1),
		"empty id":        strings.Replace(validOrder(), `"orderId":"o-bad-0"`, `"orderId":""`, 1),
		"format":          strings.Replace(validOrder(), `"placedAt":"2026-11-23T09:15:30Z"`, `"placedAt":"yesterday"`, 1),
	} {
		all = append(all, badRequest{name: "schema: " + name, text: rawRequest("/v1/events/bad", jsonType, body), status: http.StatusUnprocessableEntity, slug: "schema-violation"})
	}
	for name, body := range map[string]string{
		"missing": `{}`, "null": `{"id":null}`, "fraction": `{"id":1.0}`, "exponent": `{"id":1e2}`, "object": `{"id":{}}`, "array": `{"id":[]}`, "empty": `{"id":""}`,
	} {
		all = append(all, badRequest{name: "key: " + name, text: rawRequest("/v1/events/loose", jsonType, body), status: http.StatusUnprocessableEntity, slug: "key-missing"})
	}
	return all
}

func badHeaders() (all []badRequest) {
	for name, header := range map[string]string{
		"key twice":                "Idempotency-Key: a\r\nIdempotency-Key: b\r\n",
		"same key twice":           "Idempotency-Key: a\r\nidempotency-key: a\r\n",
		"empty key":                "Idempotency-Key: \r\n",
		"empty key in quotes":      "Idempotency-Key: \"\"\r\n",
		"key of 256 characters":    "Idempotency-Key: " + strings.Repeat("k", 256) + "\r\n",
		"key beyond ASCII":         "Idempotency-Key: schlüssel\r\n",
		"key without closing mark": "Idempotency-Key: \"abc\r\n",
		"key with bad escape":      `Idempotency-Key: "a\b"` + "\r\n",
		"ce-time":                  "ce-time: yesterday\r\n",
		"ce-specversion":           "ce-specversion: 0.3\r\n",
		"ce-type":                  "ce-type: other\r\n",
		"ce-id twice":              "ce-id: 1\r\nCE-ID: 2\r\n",
		"ce-id empty":              "ce-id:\r\n",
		"ce-source":                "ce-source: http://[::1\r\n",
		"ce-subject not UTF-8":     "ce-subject: %ff\r\n",
		"ce-subject with newline":  "ce-subject: a%0Ab\r\n",
		"ce-subject half escape":   "ce-subject: %e\r\n",
		"extension name":           "ce-not_a_name: 1\r\n",
		"33 extensions":            extensions(33),
		"ce-dataschema":            "ce-dataschema: https://example.com/\r\n",
	} {
		all = append(all, badRequest{name: "header: " + name, text: rawRequest("/v1/events/bad", jsonType+header, validOrder()), status: http.StatusBadRequest, slug: "malformed-request"})
	}
	for name, header := range map[string]string{
		"text":                "Content-Type: text/plain\r\n",
		"XML":                 "Content-Type: application/xml\r\n",
		"latin1":              "Content-Type: application/json; charset=iso-8859-1\r\n",
		"UTF-16":              "Content-Type: application/json; charset=utf-16\r\n",
		"multipart":           "Content-Type: multipart/form-data; boundary=x\r\n",
		"no media type":       "Content-Type: json\r\n",
		"deflate":             jsonType + "Content-Encoding: deflate\r\n",
		"unknown coding":      jsonType + "Content-Encoding: zip\r\n",
		"list of codings":     jsonType + "Content-Encoding: identity, br\r\n",
		"structured CE":       "Content-Type: application/cloudevents+json\r\n",
		"Content-Type, twice": jsonType + "Content-Type: text/plain\r\n",
	} {
		all = append(all, badRequest{name: "media type: " + name, text: rawRequest("/v1/events/bad", header, validOrder()), status: http.StatusUnsupportedMediaType, slug: "unsupported-media-type"})
	}
	for _, coding := range []string{"gzip", "zstd", "br"} {
		all = append(all, badRequest{name: "not " + coding, text: rawRequest("/v1/events/bad", jsonType+"Content-Encoding: "+coding+"\r\n", validOrder()), status: http.StatusBadRequest, slug: "malformed-request"})
	}
	return append(all,
		badRequest{name: "form", text: rawRequest("/v1/events/bad", "Content-Type: application/x-www-form-urlencoded\r\n", validOrder()), status: http.StatusUnsupportedMediaType, slug: "unsupported-media-type", detail: "-H 'Content-Type: application/json'"},
		badRequest{name: "key missing", text: rawRequest("/v1/events/must", jsonType, validOrder()), status: http.StatusBadRequest, slug: "idempotency-key-missing"})
}

func extensions(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "ce-x%d: 1\r\n", i)
	}
	return b.String()
}

func badPaths() (all []badRequest) {
	add := func(name, text string, status int, slug, header string) {
		all = append(all, badRequest{name: "path: " + name, text: text, status: status, slug: slug, header: header})
	}
	for name, path := range map[string]string{
		"unknown type": "/v1/events/nobody.knows", "wrong case": "/v1/events/BAD", "unknown version": "/v1/events/bad?version=v9",
		"no version": "/v1/events/bad?version=1", "odd name": "/v1/events/a%20b",
	} {
		add(name, rawRequest(path, jsonType, validOrder()), http.StatusNotFound, "unknown-event-type", "")
		add(name+", with a key", rawRequest(path, jsonType+"Idempotency-Key: k\r\n", validOrder()), http.StatusNotFound, "unknown-event-type", "")
	}
	for _, path := range []string{"/v1/events/", "/v1/events/bad/", "/v1/events/bad/v1/x", "/v2/events/bad", "/v1/event/bad"} {
		add(path, rawRequest(path, jsonType, validOrder()), http.StatusNotFound, "not-found", "")
	}
	add("no such version", rawRequest("/v1/events/bad/v9", jsonType, validOrder()), http.StatusNotFound, "unknown-event-type", "")
	add("version in path and query", rawRequest("/v1/events/bad/v1?version=v1", jsonType, validOrder()), http.StatusBadRequest, "malformed-request", "")
	add("post to the landing page", rawRequest("/", jsonType, validOrder()), http.StatusMethodNotAllowed, "method-not-allowed", "Allow: GET, HEAD")
	add("empty version", rawRequest("/v1/events/bad?version=", jsonType, validOrder()), http.StatusBadRequest, "malformed-request", "")
	add("version twice", rawRequest("/v1/events/bad?version=v1&version=v1", jsonType, validOrder()), http.StatusBadRequest, "malformed-request", "")
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "post"} {
		add(method, method+" /v1/events/bad HTTP/1.1\r\nHost: gateway\r\nContent-Length: 0\r\n\r\n", http.StatusMethodNotAllowed, "method-not-allowed", "Allow: POST")
	}
	return all
}

// badCloudEvents are events over the limits, and requests that are not CloudEvents.
func badCloudEvents() (all []badRequest) {
	add := func(name, header, body string, status int, slug string) {
		all = append(all, badRequest{name: "CloudEvent: " + name, text: rawRequest("/v1/events", header, body), status: status, slug: slug})
	}
	event := func(members string) string {
		return `{"specversion":"1.0","id":"1","source":"/s","type":"bad",` + members + `"data":` + validOrder() + "}"
	}
	var many strings.Builder
	for i := range 33 {
		fmt.Fprintf(&many, `"x%d":1,`, i)
	}
	add("plain data", jsonType, validOrder(), http.StatusBadRequest, "malformed-request")
	add("long attribute", structuredHeader, event(`"subject":"`+strings.Repeat("s", 2049)+`",`), http.StatusBadRequest, "malformed-request")
	add("33 extensions", structuredHeader, event(many.String()), http.StatusBadRequest, "malformed-request")
	add("integer of 33 bits", structuredHeader, event(`"x":4294967296,`), http.StatusBadRequest, "malformed-request")
	add("unknown dataschema", structuredHeader, event(`"dataschema":"https://example.com/x",`), http.StatusUnprocessableEntity, "schema-violation")
	add("1,001 events", batchHeader, "["+strings.Repeat("{},", 1000)+"{}]", http.StatusRequestEntityTooLarge, "event-too-large")
	add("batch that is not an array", batchHeader, event(""), http.StatusBadRequest, "malformed-json")
	add("Avro", "Content-Type: application/cloudevents+avro\r\n", event(""), http.StatusUnsupportedMediaType, "unsupported-media-type")
	return all
}

func badSizes() []badRequest {
	const limit = badBodyLimit
	tooLarge := func(name, text string, meanwhile bool) badRequest {
		return badRequest{name: "size: " + name, text: text, status: http.StatusRequestEntityTooLarge, slug: "event-too-large", meanwhile: meanwhile}
	}
	headers := func(name, text string) badRequest {
		return badRequest{name: "size: " + name, text: text, status: http.StatusRequestHeaderFieldsTooLarge, slug: "headers-too-large"}
	}
	chunk := func(n int) string { return fmt.Sprintf("%x\r\n%s\r\n", n, strings.Repeat(" ", n)) }
	chunked := jsonType + "Transfer-Encoding: chunked\r\n"
	const path = "/v1/events/bad"
	return []badRequest{
		tooLarge("declared, body not sent", rawRequest(path, jsonType+fmt.Sprintf("Content-Length: %d\r\n", limit+1), ""), true),
		tooLarge("declared 9 GB", rawRequest(path, jsonType+"Content-Length: 9999999999\r\n", ""), true),
		tooLarge("declared, waits for 100", rawRequest(path, jsonType+fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n", limit+1), ""), true),
		tooLarge("one byte over", rawRequest(path, jsonType, padded(limit+1)), false),
		tooLarge("4 MiB, read meanwhile", rawRequest(path, jsonType, padded(4<<20)), true),
		tooLarge("4 MiB, read when sent", rawRequest(path, jsonType, padded(4<<20)), false),
		tooLarge("chunked, one chunk", rawRequest(path, chunked, chunk(limit+1)+"0\r\n\r\n"), false),
		tooLarge("chunked, 200 chunks", rawRequest(path, chunked, strings.Repeat(chunk(1000), 200)+"0\r\n\r\n"), false),
		tooLarge("chunked, endless", rawRequest(path, chunked, strings.Repeat(chunk(1000), 3000)), false),
		tooLarge("the type's own limit", rawRequest("/v1/events/small", jsonType, padded(200)), false),
		headers("one header of 20 KB", rawRequest(path, jsonType+"X: "+strings.Repeat("x", 20_000)+"\r\n", validOrder())),
		headers("400 headers", rawRequest(path, jsonType+strings.Repeat("X-Header: "+strings.Repeat("x", 50)+"\r\n", 400), validOrder())),
		headers("path of 20 KB", rawRequest(path+strings.Repeat("x", 20_000), jsonType, validOrder())),
		headers("1 MB of headers", rawRequest(path, jsonType+strings.Repeat("X-Header: "+strings.Repeat("x", 990)+"\r\n", 1000), validOrder())),
	}
}

func badHTTP() (all []badRequest) {
	valid := validOrder()
	chunked := jsonType + "Transfer-Encoding: chunked\r\n"
	for name, text := range map[string]string{
		"zero bytes":                strings.Repeat("\x00", 100) + "\r\n\r\n",
		"binary":                    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\xfa", 100) + "\r\n\r\n",
		"words":                     "hello gateway, how are you\r\n\r\n",
		"SMTP":                      "EHLO example.com\r\n\r\n",
		"header without colon":      rawRequest("/v1/events/bad", jsonType+"Nonsense\r\n", valid),
		"space before colon":        rawRequest("/v1/events/bad", jsonType+"X-A : b\r\n", valid),
		"negative Content-Length":   rawRequest("/v1/events/bad", jsonType+"Content-Length: -5\r\n", valid),
		"Content-Length in words":   rawRequest("/v1/events/bad", jsonType+"Content-Length: ten\r\n", valid),
		"Content-Length of 30":      rawRequest("/v1/events/bad", jsonType+"Content-Length: "+strings.Repeat("9", 30)+"\r\n", valid),
		"two Content-Lengths":       rawRequest("/v1/events/bad", jsonType+fmt.Sprintf("Content-Length: %d\r\nContent-Length: 3\r\n", len(valid)), valid),
		"Content-Length a list":     rawRequest("/v1/events/bad", jsonType+fmt.Sprintf("Content-Length: %d, 3\r\n", len(valid)), valid),
		"length and chunks":         rawRequest("/v1/events/bad", chunked+fmt.Sprintf("Content-Length: %d\r\n", len(valid)), fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(valid), valid)),
		"unknown transfer coding":   rawRequest("/v1/events/bad", jsonType+"Transfer-Encoding: gzip, identity\r\n", valid),
		"transfer coding xchunked":  rawRequest("/v1/events/bad", jsonType+"Transfer-Encoding: xchunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(valid), valid)),
		"chunk size in words":       rawRequest("/v1/events/bad", chunked, "many\r\n"+valid+"\r\n0\r\n\r\n"),
		"negative chunk size":       rawRequest("/v1/events/bad", chunked, "-5\r\n"+valid+"\r\n0\r\n\r\n"),
		"chunk size of 30 digits":   rawRequest("/v1/events/bad", chunked, strings.Repeat("f", 30)+"\r\n"+valid+"\r\n0\r\n\r\n"),
		"chunk longer than it says": rawRequest("/v1/events/bad", chunked, "5\r\n"+valid+"\r\n0\r\n\r\n"),
		"no Host":                   fmt.Sprintf("POST /v1/events/bad HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", jsonType, len(valid), valid),
	} {
		all = append(all, badRequest{name: "HTTP: " + name, text: text, status: http.StatusBadRequest, slug: "malformed-request"})
	}
	return all
}

func slowRequests() (all []badRequest) {
	for name, text := range map[string]string{
		"body":                rawRequest("/v1/events/bad", jsonType+"Content-Length: 1000\r\n", validOrder()[:50]),
		"body, nothing of it": rawRequest("/v1/events/bad", jsonType+"Content-Length: 1000\r\n", ""),
		"chunked body":        rawRequest("/v1/events/bad", jsonType+"Transfer-Encoding: chunked\r\n", "5\r\n{\"ord"),
		"headers":             "POST /v1/events/bad HTTP/1.1\r\nHost: gateway\r\nContent-Ty",
		"first line":          "POS",
		"after 100":           rawRequest("/v1/events/bad", jsonType+"Expect: 100-continue\r\nContent-Length: 1000\r\n", ""),
	} {
		all = append(all, badRequest{name: "slow: " + name, text: text, status: http.StatusRequestTimeout, slug: "request-timeout", slow: true})
	}
	return all
}
