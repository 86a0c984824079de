package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Outbox is one outbox table of a PostgreSQL database, whose rows the gateway publishes.
type Outbox struct {
	Name        string       `yaml:"name"`
	DSN         Secret       `yaml:"dsn"`
	ListenDSN   Secret       `yaml:"listen_dsn"` // past a pooler, for locks and notifications; "": DSN
	Read        OutboxReader `yaml:"read"`
	Table       string       `yaml:"table"` // may have a schema: shop.outbox
	Columns     Columns      `yaml:"columns"`
	EventType   string       `yaml:"event_type"`
	Slot        string       `yaml:"slot"`        // for wal; "": gateway_<name>
	Publication string       `yaml:"publication"` // for wal; "": gateway_<name>
	OnDead      OnDead       `yaml:"on_dead"`
	Messages    string       `yaml:"messages"` // for wal: prefix of messages that are events; "": there are none
}

// OutboxReader says how rows are found.
type OutboxReader string

// Poll asks the table, wal follows the database's write-ahead log.
const (
	OutboxPoll OutboxReader = "poll"
	OutboxWAL  OutboxReader = "wal"
)

// Columns are other names for the columns of an outbox table, by their usual names.
type Columns map[string]string

// OutboxColumns are the usual names.
var OutboxColumns = []string{"seq", "id", "aggregatetype", "aggregateid", "type", "payload", "headers", "created_at", "traceparent", "tracestate"}

func (o *Outbox) setDefaults() { *o = newOutbox() }

// NewOutbox returns an outbox with its defaults.
func NewOutbox(name string) Outbox {
	o := newOutbox()
	o.Name = name
	return o
}

func newOutbox() Outbox {
	return Outbox{Read: OutboxPoll, Table: "outbox", Columns: Columns{}, EventType: "{type}", OnDead: OnDeadContinue}
}

// SlotName is the replication slot that the reader wal uses.
func (o Outbox) SlotName() string { return o.named(o.Slot) }

// PublicationName is the publication that the reader wal uses.
func (o Outbox) PublicationName() string { return o.named(o.Publication) }

var notInSlot = regexp.MustCompile(`[^a-z0-9_]+`)

func (o Outbox) named(given string) string {
	if given != "" {
		return given
	}
	return "gateway_" + notInSlot.ReplaceAllString(strings.ToLower(o.Name), "_")
}

var (
	outboxName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$`)
	outboxTable = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_$]{0,54}\.)?[A-Za-z_][A-Za-z0-9_$]{0,54}$`)
	slotName    = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)
	// messagePrefix is what pg_logical_emit_message takes; other programs have theirs.
	messagePrefix = regexp.MustCompile(`^[A-Za-z0-9._-]{1,63}$`)
	sqlName       = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]{0,62}$`)
)

// placeholders of an event type.
var outboxPlaceholders = strings.NewReplacer("{type}", "t", "{aggregatetype}", "a")

func (v validator) outboxes() {
	first := map[string]int{}
	for i, o := range v.c.Outbox {
		at := fmt.Sprintf("outbox[%d]", i)
		shown := v.show(at+".name", o.Name)
		v.check(outboxName.MatchString(o.Name), at+".name", shown+" is not a name", "write 1 to 50 letters, digits, dots, underscores and hyphens, for example shop")
		other, taken := first[o.Name]
		v.check(!taken, at+".name", shown+" is the name of another outbox", fmt.Sprintf("give each its own; outbox[%d] has it too", other))
		if !taken {
			first[o.Name] = i
		}
		v.outbox(at, o)
	}
}

func (v validator) outbox(at string, o Outbox) {
	v.check(o.DSN != "", at+".dsn", "is missing", `write for example dsn: "${SHOP_DSN}", with postgres://gateway:password@db.example.com/shop in that variable`)
	oneOf(v, at+".read", o.Read, OutboxPoll, OutboxWAL)
	oneOf(v, at+".on_dead", o.OnDead, OnDeadContinue, OnDeadHoldEntity)
	v.check(outboxTable.MatchString(o.Table), at+".table", v.show(at+".table", o.Table)+" is not the name of a table", "write for example outbox or shop.outbox, at most 55 characters each")
	v.check(o.Messages == "" || o.Read == OutboxWAL, at+".messages", "needs the write-ahead log", "write read: wal, or leave messages out")
	v.check(o.Messages == "" || messagePrefix.MatchString(o.Messages), at+".messages", v.show(at+".messages", o.Messages)+" is not a prefix of messages", "write 1 to 63 letters, digits, dots, underscores and hyphens")
	rest := outboxPlaceholders.Replace(o.EventType)
	v.check(o.EventType != "" && !strings.ContainsAny(rest, "{}"), at+".event_type", v.show(at+".event_type", o.EventType)+" is not an event type",
		"write {type}, or for example {aggregatetype}.{type}")
	v.check(o.Slot == "" || slotName.MatchString(o.Slot), at+".slot", v.show(at+".slot", o.Slot)+" is not the name of a slot", "write 1 to 63 of a-z, 0-9 and _")
	v.check(o.Publication == "" || sqlName.MatchString(o.Publication), at+".publication", v.show(at+".publication", o.Publication)+" is not the name of a publication", "write letters, digits and underscores")
	for _, usual := range slices.Sorted(maps.Keys(o.Columns)) {
		path := at + ".columns." + shownKey(usual)
		v.check(slices.Contains(OutboxColumns, usual), path, "is not a column of an outbox", "the columns are "+strings.Join(OutboxColumns, ", "))
		v.check(sqlName.MatchString(o.Columns[usual]), path, v.show(path, o.Columns[usual])+" is not the name of a column", "write letters, digits and underscores")
	}
}

// decodeNode reads names by their usual names.
func (c *Columns) decodeNode(d *decoder, path string, n *yaml.Node) {
	names := Columns{}
	d.cfg.origins[path] = origin{source: d.at(n)}
	d.pairs(path, n, func(name string, _, node *yaml.Node) {
		at := join(path, shownKey(name))
		if text, o, ok := d.text(at, node, true); ok {
			names[name] = text
			d.cfg.origins[at] = o
		}
	})
	*c = names
}
