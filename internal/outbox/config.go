package outbox

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"eventgateway/internal/event"
)

// Config describes one outbox.
type Config struct {
	Name      string // scope of the rows' ids
	DSN       string
	ListenDSN string // "": DSN
	WAL       bool   // follow the write-ahead log, instead of asking the table
	Table     string // may have a schema
	Columns   map[string]string
	EventType string // with {type} and {aggregatetype}
	// Slot and Publication are for the write-ahead log.
	Slot, Publication string
	// Messages is the prefix of messages in the write-ahead log that are events, too. "":
	// there are none.
	Messages string
	// HoldEntity keeps the rows of an entity behind one that cannot be published.
	HoldEntity bool

	// TTL is how long a claim lives: the idempotency window.
	TTL time.Duration
	// Fence is how long the claim of a row lives on when the row was deleted. 0:
	// event.OutboxFence.
	Fence time.Duration
}

func (c *Config) fence() time.Duration {
	if c.Fence == 0 {
		return event.OutboxFence
	}
	return c.Fence
}

// eventType is the event type of a row.
func (c *Config) eventType(r *Row) string {
	if c.EventType == "" || c.EventType == "{type}" {
		return r.Type
	}
	return strings.NewReplacer("{type}", r.Type, "{aggregatetype}", r.AggregateType).Replace(c.EventType)
}

// names are the tables of an outbox, quoted for SQL.
type names struct {
	schema, plain      string // unquoted; schema "" is the search path's
	table, dead, state string
	column             func(usual string) string
}

func (c *Config) names() names {
	schema, plain, found := strings.Cut(c.Table, ".")
	if !found {
		schema, plain = "", c.Table
	}
	quote := func(name string) string {
		if schema == "" {
			return pgx.Identifier{name}.Sanitize()
		}
		return pgx.Identifier{schema, name}.Sanitize()
	}
	return names{
		schema: schema, plain: plain, table: quote(plain), dead: quote(plain + "_dead"), state: quote(plain + "_relay"),
		column: func(usual string) string {
			if other := c.Columns[usual]; other != "" {
				return pgx.Identifier{other}.Sanitize()
			}
			return pgx.Identifier{usual}.Sanitize()
		},
	}
}

// plainColumn is a column's name, unquoted.
func (c *Config) plainColumn(usual string) string {
	if other := c.Columns[usual]; other != "" {
		return other
	}
	return usual
}
