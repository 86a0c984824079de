package outbox

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/jackc/pgx/v5"
)

//go:embed schema.sql
var schemaText string

var schemaTemplate = template.Must(template.New("schema").Parse(schemaText))

// SchemaOptions say how the tables of an outbox are made.
type SchemaOptions struct {
	PayloadType string // jsonb, json, text or bytea; "": jsonb
	Partitioned bool
	Role        string // of the gateway; "": gateway_outbox
}

// Schema returns the SQL that makes the tables of an outbox.
func Schema(c Config, o SchemaOptions) (string, error) {
	if o.PayloadType == "" {
		o.PayloadType = "jsonb"
	}
	if o.Role == "" {
		o.Role = "gateway_outbox"
	}
	n := c.names()
	in := func(name string) string {
		if n.schema == "" {
			return pgx.Identifier{name}.Sanitize()
		}
		return pgx.Identifier{n.schema, name}.Sanitize()
	}
	values := map[string]any{
		"Name": c.Name, "Table": n.table, "Dead": n.dead, "State": n.state, "Schema": "",
		"PayloadType": o.PayloadType, "Partitioned": o.Partitioned, "Partition": in(n.plain + "_p1"), "DefaultPartition": in(n.plain + "_default"),
		"Wake": in(n.plain + "_wake"), "Publish": in(n.plain + "_publish"), "Emit": in(n.plain + "_emit"), "Messages": "", "SleepLock": sleepLock,
		"WAL": c.WAL, "Publication": pgx.Identifier{c.Publication}.Sanitize(), "Role": pgx.Identifier{o.Role}.Sanitize(),
		"Seq": n.column("seq"), "ID": n.column("id"), "AggregateType": n.column("aggregatetype"), "AggregateID": n.column("aggregateid"),
		"Type": n.column("type"), "Payload": n.column("payload"), "Headers": n.column("headers"), "CreatedAt": n.column("created_at"),
		"TraceParent": n.column("traceparent"), "TraceState": n.column("tracestate"),
	}
	if n.schema != "" {
		values["Schema"] = pgx.Identifier{n.schema}.Sanitize()
	}
	if c.Messages != "" {
		values["Messages"] = "'" + strings.ReplaceAll(c.Messages, "'", "''") + "'"
	}
	var b strings.Builder
	if err := schemaTemplate.Execute(&b, values); err != nil {
		return "", fmt.Errorf("print schema: %w", err)
	}
	return b.String(), nil
}
