package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// messageBatch and messageBytes are how much of a transaction is copied at once.
const (
	messageBatch = 500
	messageBytes = 4 << 20
)

// messages copies events that transactions wrote into the write-ahead log with
// pg_logical_emit_message into the table, as rows: from then on they are relayed as all
// rows are. Each transaction's messages are copied in one transaction, which also notes how
// far that has come, so every message becomes one row. It belongs to the reader.
type messages struct {
	session *session
	prefix  string
	conn    *pgx.Conn

	copied  pglogrepl.LSN // transactions that committed up to here are copied
	commit  pglogrepl.LSN // of the transaction that is being read
	at      time.Time     // of that commit
	waiting []*Row
	bytes   int
	tx      pgx.Tx // of the copy; nil: nothing has been copied yet
}

// newMessages returns nil if the outbox has no messages.
func newMessages(s *session, copied pglogrepl.LSN) *messages {
	if s.cfg.Messages == "" {
		return nil
	}
	return &messages{session: s, prefix: s.cfg.Messages, conn: s.query, copied: copied}
}

func (m *messages) begin(b *pglogrepl.BeginMessage) {
	if m != nil {
		m.commit, m.at, m.waiting, m.bytes, m.tx = b.FinalLSN, b.CommitTime, nil, 0, nil
	}
}

// add takes in a message. Those outside a transaction are decoded even if their
// transaction is rolled back, so they are ignored, and counted.
func (m *messages) add(ctx context.Context, message *pglogrepl.LogicalDecodingMessage) error {
	if m == nil || message.Prefix != m.prefix {
		return nil
	}
	if !message.Transactional {
		m.session.metrics.ignored.WithLabelValues(m.session.cfg.Name).Inc()
		return nil
	}
	if m.commit <= m.copied {
		return nil
	}
	r, err := parseMessage(message.Content)
	if err != nil {
		r = malformed(message.Content, err)
	}
	if r.CreatedAt.IsZero() {
		r.CreatedAt = m.at
	}
	m.waiting = append(m.waiting, r)
	m.bytes += r.size()
	if len(m.waiting) < messageBatch && m.bytes < messageBytes {
		return nil
	}
	return m.copy(ctx)
}

// committed ends the copy of a transaction.
func (m *messages) committed(ctx context.Context) error {
	if m == nil || m.tx == nil && len(m.waiting) == 0 {
		return nil
	}
	if err := m.copy(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	s := m.session
	tag, err := m.tx.Exec(ctx, `UPDATE `+s.table.state+` SET copied = $3::text::pg_lsn WHERE source = $1 AND epoch = $2 AND copied < $3::text::pg_lsn`,
		s.cfg.Name, s.state.before.epoch, m.commit.String())
	if err == nil && tag.RowsAffected() == 0 {
		err = errLeadership
	}
	if err == nil {
		err = m.tx.Commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("copy messages of the write-ahead log: %w", err)
	}
	m.copied, m.tx = m.commit, nil
	return nil
}

// copy inserts the messages that wait.
func (m *messages) copy(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	defer func() {
		if err != nil {
			err = fmt.Errorf("copy messages of the write-ahead log: %w", explained(err, m.session.cfg))
		}
	}()
	if m.tx == nil {
		if m.tx, err = m.conn.Begin(ctx); err != nil {
			return err
		}
		if _, err := m.tx.Exec(ctx, synchronousSQL); err != nil {
			return err
		}
	}
	rows := m.waiting
	m.waiting, m.bytes = nil, 0
	err = m.insert(ctx, rows)
	if !isDataError(err) {
		return err
	}
	for _, r := range rows { // one of them does not fit the table's columns
		if err = m.insert(ctx, []*Row{r}); isDataError(err) {
			err = m.insert(ctx, []*Row{malformed(r.Payload, err)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// insert inserts rows, all or none.
func (m *messages) insert(ctx context.Context, rows []*Row) error {
	inner, err := m.tx.Begin(ctx) // a savepoint
	if err != nil {
		return err
	}
	batch := &pgx.Batch{}
	for _, r := range rows {
		sql, args := m.session.table.insertion(r)
		batch.Queue(sql, args...)
	}
	if err := inner.SendBatch(ctx, batch).Close(); err != nil {
		return errors.Join(err, inner.Rollback(ctx))
	}
	return inner.Commit(ctx)
}

// isDataError tells whether a value does not fit its column.
func isDataError(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "22") || pg.Code == "23502")
}

// insertion is the statement that inserts a row. What a table has no column for is left out.
func (t *table) insertion(r *Row) (sql string, args []any) {
	var columns, values []string
	put := func(usual, cast string, value any) {
		kind, ok := t.columns[usual]
		if !ok {
			return
		}
		if cast == "" {
			cast = "$%d::text::" + kind
		}
		args = append(args, value)
		columns, values = append(columns, t.column(usual)), append(values, fmt.Sprintf(cast, len(args)))
	}
	orNull := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	if r.ID != "" { // a malformed one gets its id from the table
		put("id", "", r.ID)
	}
	put("aggregatetype", "", r.AggregateType)
	put("aggregateid", "", orNull(r.AggregateID))
	put("type", "", r.Type)
	payload := any(string(r.Payload))
	if r.Payload == nil {
		payload = nil
	}
	if t.columns["payload"] == "bytea" {
		put("payload", "convert_to($%d::text, 'UTF8')", payload)
	} else {
		put("payload", "", payload)
	}
	if r.Headers != nil {
		put("headers", "", string(r.Headers))
	}
	put("created_at", "$%d::timestamptz", r.CreatedAt)
	put("traceparent", "", orNull(r.TraceParent))
	put("tracestate", "", orNull(r.TraceState))
	return `INSERT INTO ` + t.table + ` (` + strings.Join(columns, ", ") + `) VALUES (` + strings.Join(values, ", ") + `)`, args
}

// parseMessage reads a message: a JSON object with the names of the columns.
func parseMessage(content []byte) (*Row, error) {
	var m struct {
		ID            string          `json:"id"`
		AggregateType string          `json:"aggregatetype"`
		AggregateID   string          `json:"aggregateid"`
		Type          string          `json:"type"`
		Payload       json.RawMessage `json:"payload"`
		Headers       json.RawMessage `json:"headers"`
		CreatedAt     time.Time       `json:"created_at"`
		TraceParent   string          `json:"traceparent"`
		TraceState    string          `json:"tracestate"`
	}
	if err := json.Unmarshal(content, &m); err != nil {
		return nil, err
	}
	if m.ID == "" {
		return nil, errors.New("it has no id")
	}
	r := &Row{
		ID: m.ID, AggregateType: m.AggregateType, AggregateID: m.AggregateID, Type: m.Type, Payload: bytes.Clone(m.Payload),
		CreatedAt: m.CreatedAt, TraceParent: m.TraceParent, TraceState: m.TraceState,
	}
	if string(m.Payload) == "null" {
		r.Payload = nil
	}
	if len(m.Headers) > 0 && string(m.Headers) != "null" {
		r.Headers = bytes.Clone(m.Headers)
	}
	return r, nil
}

// malformed is the row of a message that can never be published: no event type has this
// name, and no record this header. So it becomes a dead row, with what was wrong, and its
// content.
func malformed(content []byte, why error) *Row {
	readable := func(text string) string {
		return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	}
	escaped := bytes.ReplaceAll(content, []byte(`\u0000`), []byte(`\uFFFD`)) // jsonb has no such character
	text, err := json.Marshal(readable(string(escaped)))
	if err != nil {
		text = []byte(`""`) // cannot happen: it is a text
	}
	return &Row{Type: "message that cannot be read: " + readable(why.Error()), Payload: text, Headers: []byte(`{"gw_unreadable": ""}`)}
}
