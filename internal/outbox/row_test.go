package outbox

import (
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestRequestOfARow(t *testing.T) {
	t.Parallel()
	c := Config{Name: "shop", EventType: "{aggregatetype}.{type}"}
	at := time.Date(2026, 11, 30, 3, 4, 5, 600000, time.FixedZone("", 3600))
	req := c.request(&Row{
		Seq: 1, ID: "7d1f", AggregateType: "orders", AggregateID: "o-1", Type: "placed", Payload: []byte(`{}`),
		Headers: []byte(`{"b": "2", "a": "1"}`), CreatedAt: at, TraceParent: "00-1-2-01",
	})
	require.NoError(t, req.Fault)
	require.Equal(t, "orders.placed", req.Type)
	require.Equal(t, "o-1", *req.Entity)
	require.Equal(t, event.Identity{Kind: event.IdentityOutbox, Parts: []string{"7d1f"}}, req.Identity)
	require.Equal(t, "2026-11-30T02:04:05.0006Z", req.Attributes.Time)
	require.Equal(t, []event.Header{{Name: "gw_outbox", Value: "shop"}, {Name: "a", Value: "1"}, {Name: "b", Value: "2"}}, req.Headers)
}

func TestFaultsOfARow(t *testing.T) {
	t.Parallel()
	good := Row{ID: "1", Type: "orders.placed", Payload: []byte(`{}`)}
	for name, c := range map[string]struct {
		change func(*Row)
		kind   event.Kind
	}{
		"NULL payload":       {func(r *Row) { r.Payload = nil }, event.MalformedRequest},
		"no id":              {func(r *Row) { r.ID = "" }, event.MalformedRequest},
		"not a type":         {func(r *Row) { r.Type = "two words" }, event.UnknownEventType},
		"headers not texts":  {func(r *Row) { r.Headers = []byte(`{"a": 1}`) }, event.MalformedRequest},
		"headers are a list": {func(r *Row) { r.Headers = []byte(`[]`) }, event.MalformedRequest},
		"a claim":            {func(r *Row) { r.Headers = []byte(`{"GW_claim": "x"}`) }, event.MalformedRequest},
		"an attribute":       {func(r *Row) { r.Headers = []byte(`{"ce_id": "x"}`) }, event.MalformedRequest},
		"a strange header":   {func(r *Row) { r.Headers = []byte(`{"a b": "x"}`) }, event.MalformedRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row := good
			c.change(&row)
			fault := (&Config{Name: "shop"}).request(&row)
			var e *event.Error
			require.ErrorAs(t, fault.Fault, &e)
			require.Equal(t, c.kind, e.Kind)
			require.True(t, isDead(e))
		})
	}
	fine := (&Config{Name: "shop"}).request(&good)
	require.NoError(t, fine.Fault)
}

func column(text string) *pglogrepl.TupleDataColumn {
	return &pglogrepl.TupleDataColumn{DataType: pglogrepl.TupleDataTypeText, Data: []byte(text)}
}

// The columns of a row of the write-ahead log are found by name, in any order, as long as
// those exist that must.
func TestDecodeInserts(t *testing.T) {
	t.Parallel()
	c := &Config{Table: "shop.outbox", Columns: map[string]string{"payload": "body"}}
	tab := &table{names: c.names()}
	d := decoder{cfg: c, table: tab}
	relation := &pglogrepl.RelationMessage{RelationID: 9, Namespace: "shop", RelationName: "outbox"}
	for _, name := range []string{"body", "other", "seq", "id", "aggregatetype", "aggregateid", "type", "created_at"} {
		relation.Columns = append(relation.Columns, &pglogrepl.RelationMessageColumn{Name: name, DataType: byteaOID})
	}
	d.relation(relation)
	null := &pglogrepl.TupleDataColumn{DataType: pglogrepl.TupleDataTypeNull}
	row, err := d.row(&pglogrepl.InsertMessage{RelationID: 9, Tuple: &pglogrepl.TupleData{Columns: []*pglogrepl.TupleDataColumn{
		column(`\x7b7d`), column("x"), column("17"), column("7d1f"), column("orders"), null, column("orders.placed"), column("2026-11-30 03:04:05.5+00"),
	}}})
	require.NoError(t, err)
	require.Equal(t, &Row{
		Seq: 17, ID: "7d1f", AggregateType: "orders", Type: "orders.placed", Payload: []byte(`{}`), CreatedAt: time.Date(2026, 11, 30, 3, 4, 5, 5e8, time.UTC),
	}, withUTC(row))

	row, err = d.row(&pglogrepl.InsertMessage{RelationID: 10})
	require.NoError(t, err)
	require.Nil(t, row, "another table")

	relation.Columns[0].Name = "renamed"
	d.relation(relation)
	_, err = d.row(&pglogrepl.InsertMessage{RelationID: 9})
	require.ErrorIs(t, err, errOtherColumns)
	require.ErrorContains(t, err, "no column body")
}

func withUTC(r *Row) *Row {
	r.CreatedAt = r.CreatedAt.UTC()
	return r
}

func TestSchemaNamesWhatIsConfigured(t *testing.T) {
	t.Parallel()
	text, err := Schema(Config{Name: "shop", Table: "shop.events", Columns: map[string]string{"payload": "body"}, WAL: true, Publication: "pub"},
		SchemaOptions{PayloadType: "json", Partitioned: true, Role: "relay"})
	require.NoError(t, err)
	for _, want := range []string{
		`CREATE TABLE "shop"."events" (`, `"body" json,`, `PARTITION BY RANGE ("seq")`, `"shop"."events_dead"`, `"shop"."events_relay"`,
		`CREATE PUBLICATION "pub" FOR TABLE "shop"."events" WITH (publish = 'insert', publish_via_partition_root = true)`,
		`GRANT USAGE ON SCHEMA "shop" TO "relay"`, `CREATE ROLE "relay" LOGIN REPLICATION`,
	} {
		require.Contains(t, text, want)
	}
	text, err = Schema(Config{Name: "shop", Table: "outbox"}, SchemaOptions{})
	require.NoError(t, err)
	for _, not := range []string{"PUBLICATION", "PARTITION", "REPLICATION", "<no value>"} {
		require.NotContains(t, text, not)
	}
}
