//go:build integration

package e2e

// The test vectors of the public repository cloudevents/conformance
// (github.com/cloudevents/conformance), file by file.

// httpBinary and httpStructured are the requests of
// features/http-protocol-binding.feature; <contentType> stands for its examples.
const (
	httpBinary = `POST /someresource HTTP/1.1
Host: example.com
ce-specversion: 1.0
ce-type: com.example.someevent
ce-time: 2018-04-05T03:56:24Z
ce-id: 1234-1234-1234
ce-source: /mycontext/subcontext
Content-Type: <contentType>
Content-Length: 33

{
    "message": "Hello World!"
}`
	httpStructured = `POST /someresource HTTP/1.1
Host: example.com
Content-Type: <contentType>
Content-Length: 266

{
    "specversion": "1.0",
    "type": "com.example.someevent",
    "time": "2018-04-05T03:56:24Z",
    "id": "1234-1234-1234",
    "source": "/mycontext/subcontext",
    "datacontenttype": "application/json",
    "data": {
        "message": "Hello World!"
    }
}`
)

var (
	httpBinaryTypes     = []string{"application/json", "application/json; charset=utf-8"}
	httpStructuredTypes = []string{"application/cloudevents+json", "application/cloudevents+json; charset=utf-8"}
)

// kafkaHeaders and kafkaStructured are the messages of
// features/kafka-protocol-binding.feature, for the same event.
var kafkaHeaders = map[string]string{
	"ce_specversion": "1.0",
	"ce_id":          "1234-1234-1234",
	"ce_type":        "com.example.someevent",
	"ce_source":      "/mycontext/subcontext",
	"ce_time":        "2018-04-05T03:56:24Z",
	"content-type":   "application/json",
}

const kafkaStructured = `{
    "specversion": "1.0",
    "type": "com.example.someevent",
    "time": "2018-04-05T03:56:24Z",
    "id": "1234-1234-1234",
    "source": "/mycontext/subcontext",
    "datacontenttype": "application/json",
    "data": {
        "message": "Hello World!"
    }
}`

// yamlEvent is an event of the folder yaml. Attributes are text there.
type yamlEvent struct {
	attributes map[string]string
	data       string
}

func minimum(id, contentType, data string) yamlEvent {
	return yamlEvent{map[string]string{
		"specversion": "1.0", "type": "io.cloudevents.minimum", "id": id,
		"source": "//github.com/cloudevents/cloudeventsconformance/yaml/v1.yaml", "datacontenttype": contentType,
	}, data}
}

// yamlJSON are the events of yaml/v1.0/v1_minimum.yaml whose data are JSON.
var yamlJSON = []yamlEvent{
	minimum("conformance-0003", "application/json; charset=utf-8", "\"Hello, 🌎!\"\n"),
	minimum("conformance-0004", "application/json; charset=utf-8", "{\"msg\":\"Hello, 🌎!\"}\n"),
	minimum("conformance-0005", "application/json; charset=utf-8", "[\"Hello\",\"🌎!\"]\n"),
}

// yamlOther are the others, which the gateway refuses by design: it accepts only JSON,
// because it validates data against a JSON Schema.
var yamlOther = []yamlEvent{
	minimum("conformance-0001", "text/plain; charset=us-ascii", "Hello, World!\n"),
	minimum("conformance-0002", "text/plain; charset=utf-8", "Hello, 🌎!\n"),
	minimum("conformance-0006", "application/xml; charset=utf-8", "<msg>Hello, 🌎!</msg>\n"),
}

// yamlExtensions is yaml/v1.yaml. Its second extension ends in a line feed, which
// no attribute may have (CloudEvents 1.0 §3.1).
var yamlExtensions = yamlEvent{map[string]string{
	"specversion": "1.0", "type": "com.example.someevent", "time": "2018-04-05T03:56:24Z", "id": "4321-4321-4321", "source": "/mycontext/subcontext",
	"comexampleextension1": "value", "comexampleextension2": "{\"othervalue\": 5}\n",
}, "{\"world\":\"hello\"}\n"}

// formatContext is what all events of format/json/*.json have, except for the id.
const formatContext = `"specversion":"1.0","type":"io.cloudevents.test","source":"https://cloudevents.io"`

// formatValid are the events of format/json/valid-events.json. None but
// validSimpleTextData has data.
var formatValid = map[string]string{
	"validMinimal":                            formatContext + `,"id":"minimal"`,
	"validMinimalWithNullForOptional":         formatContext + `,"id":"minimal","datacontenttype":null,"dataschema":null,"subject":null,"time":null`,
	"validMinimalWithTimeUtc":                 formatContext + `,"id":"minimalWithTime","time":"2018-04-05T17:31:00Z"`,
	"validMinimalWithTimeToNanosecondsUtc":    formatContext + `,"id":"minimalWithTime","time":"2018-04-05T17:31:00.000000000Z"`,
	"validMinimalWithTimeUsingPositiveOffset": formatContext + `,"id":"minimalWithTime","time":"2018-04-05T18:31:00+01:00"`,
	"validMinimalWithTimeUsingNegativeOffset": formatContext + `,"id":"minimalWithTime","time":"2018-04-05T16:31:00-01:00"`,
	"validRelativeSource":                     `"id":"minimalWithRelativeSource","specversion":"1.0","type":"io.cloudevents.test","source":"#fragment"`,
	"validAllExtensionTypes": formatContext + `,"id":"allExtensionTypes","extinteger":10,"extboolean":true,"extstring":"text","exturi":"https://cloudevents.io",` +
		`"exturiref":"//authority/path","exttimestamp":"2023-03-31T15:12:00Z","extbinary":"TWE="`,
}

// formatText are the others of that file: their data are text.
var formatText = map[string]string{
	"validAllCoreAttributes": formatContext + `,"id":"allCore","datacontenttype":"text/plain","dataschema":"https://cloudevents.io/dataschema","subject":"tests","time":"2018-04-05T17:31:00Z"`,
	"validSimpleTextData":    formatContext + `,"id":"simpleTextData","datacontenttype":"text/plain","data":"Simple text"`,
}

// formatInvalid are the events of format/json/invalid-events.json.
var formatInvalid = map[string]string{
	"invalidNoSpecVersion":             `"id":"invalid","type":"io.cloudevents.test","source":"https://cloudevents.io"`,
	"invalidNoId":                      formatContext,
	"invalidNoType":                    `"specversion":"1.0","id":"invalid","source":"https://cloudevents.io"`,
	"invalidNoSource":                  `"specversion":"1.0","id":"invalid","type":"io.cloudevents.test"`,
	"invalidTimeGarbage":               formatContext + `,"id":"invalid","time":"lunchtime"`,
	"invalidTimeToMinute":              formatContext + `,"id":"invalid","time":"2018-04-05T18:31Z"`,
	"invalidTimeOffsetX":               formatContext + `,"id":"invalid","time":"2018-04-05T18:31:00X"`,
	"invalidTimeOffsetOutOfRange":      formatContext + `,"id":"invalid","time":"2018-04-05T18:31:00+25:00"`,
	"invalidTimeOffsetNonInteger":      formatContext + `,"id":"invalid","time":"2018-04-05T18:31:00+xx:00"`,
	"invalidTimeOffsetHourOnly":        formatContext + `,"id":"invalid","time":"2018-04-05T18:31:00+05"`,
	"invalidEmptyId":                   formatContext + `,"id":""`,
	"invalidEmptyType":                 `"id":"invalid","specversion":"1.0","type":"","source":"https://cloudevents.io"`,
	"invalidEmptySource":               `"id":"invalid","specversion":"1.0","type":"io.cloudevents.test","source":""`,
	"invalidEmptySpecVersion":          `"id":"invalid","specversion":"","type":"io.cloudevents.test","source":"https://cloudevents.io"`,
	"invalidUnknownSpecVersion":        `"id":"invalid","specversion":"0.9","type":"io.cloudevents.test","source":"https://cloudevents.io"`,
	"invalidNonRfc2046DataContentType": formatContext + `,"id":"invalid","datacontenttype":"xyz"`,
	"invalidEmptyDataContentType":      formatContext + `,"id":"invalid","datacontenttype":""`,
	"invalidEmptyDataSchema":           formatContext + `,"id":"invalid","dataschema":""`,
	"invalidEmptySubject":              formatContext + `,"id":"invalid","subject":""`,
	"invalidNumericId":                 formatContext + `,"id":25`,
	"invalidObjectId":                  formatContext + `,"id":{"xyz":"abc"}`,
	"invalidCapitalizedExtension":      formatContext + `,"id":"invalid","MyExtension":"bad"`,
	"invalidPunctuatedExtension":       formatContext + `,"id":"invalid","my.extension":"bad"`,
	"invalidNonIntegerExtensionValue":  formatContext + `,"id":"invalid","my.extension":1.5`,
	"invalidBothDataAndDataBase64":     formatContext + `,"id":"invalid","data":"text","data_base64":"eyAieHl6IjogMTIzIH0="`,
}
