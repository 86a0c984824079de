package outbox

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pglogrepl"
)

const byteaOID = 17

// decoder makes rows of the messages of pgoutput.
type decoder struct {
	cfg     *Config
	table   *table
	columns []string // usual names of the table's columns, in the order of the messages; "": another column
	bytea   bool     // of the payload
	oid     uint32   // of the relation that columns describes
	missing string   // a column that it did not have, under its present name
}

// relation learns the columns of the table. Those of other tables of the publication are
// ignored, and so are their rows.
func (d *decoder) relation(m *pglogrepl.RelationMessage) {
	named := m.RelationName == d.table.plain && (d.table.schema == "" || m.Namespace == d.table.schema)
	if !named && m.RelationID != d.table.oid { // it may have had another name for a while
		return
	}
	usual := map[string]string{}
	for _, name := range allColumns {
		usual[d.cfg.plainColumn(name)] = name
	}
	d.oid, d.columns, d.missing = m.RelationID, make([]string, len(m.Columns)), ""
	seen := map[string]bool{}
	for i, c := range m.Columns {
		d.columns[i] = usual[c.Name]
		seen[d.columns[i]] = true
		if d.columns[i] == "payload" {
			d.bytea = c.DataType == byteaOID
		}
	}
	for _, name := range required {
		if !seen[name] {
			d.missing = d.cfg.plainColumn(name)
		}
	}
}

// errOtherColumns ends a session, so that the next one reads the table.
var errOtherColumns = errors.New("the column was renamed: rows are read from the table")

// row makes a row of an insert; nil for one into another table. It fails with
// errOtherColumns if the table's columns had other names then.
func (d *decoder) row(m *pglogrepl.InsertMessage) (*Row, error) {
	if m.RelationID != d.oid {
		return nil, nil //nolint:nilnil // no row, and no error
	}
	if d.missing != "" {
		return nil, fmt.Errorf("table %s had no column %s when a row was inserted: %w", d.cfg.Table, d.missing, errOtherColumns)
	}
	r := new(Row)
	for i, c := range m.Tuple.Columns {
		if i >= len(d.columns) || c.DataType == pglogrepl.TupleDataTypeNull {
			continue
		}
		if err := d.set(r, d.columns[i], c.Data); err != nil {
			return nil, fmt.Errorf("read column %s of a row: %w", d.columns[i], err)
		}
	}
	return r, nil
}

// set puts a column's text into the row.
func (d *decoder) set(r *Row, usual string, text []byte) (err error) {
	switch usual {
	case "seq":
		r.Seq, err = strconv.ParseInt(string(text), 10, 64)
	case "id":
		r.ID = string(text)
	case "aggregatetype":
		r.AggregateType = string(text)
	case "aggregateid":
		r.AggregateID = string(text)
	case "type":
		r.Type = string(text)
	case "payload":
		r.Payload, err = d.payload(text)
	case "headers":
		r.Headers = text
	case "created_at":
		r.CreatedAt, err = parseTime(string(text))
	case "traceparent":
		r.TraceParent = string(text)
	case "tracestate":
		r.TraceState = string(text)
	}
	return err
}

func (d *decoder) payload(text []byte) ([]byte, error) {
	if !d.bytea {
		return text, nil
	}
	if len(text) < 2 || text[0] != '\\' || text[1] != 'x' {
		return nil, fmt.Errorf("bytea is not in hexadecimal")
	}
	data := make([]byte, hex.DecodedLen(len(text)-2))
	_, err := hex.Decode(data, text[2:])
	return data, err
}

// parseTime reads a time as PostgreSQL writes it with DateStyle ISO and TimeZone UTC.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02 15:04:05.999999-07", "2006-01-02 15:04:05.999999"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time", text)
}
