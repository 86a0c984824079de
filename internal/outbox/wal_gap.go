package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
)

// loadCopied reads up to which commit messages were copied, or would have been; 0: they
// were never followed.
func (s *session) loadCopied(ctx context.Context) (pglogrepl.LSN, error) {
	if s.cfg.Messages == "" {
		return 0, nil
	}
	var text string
	err := s.query.QueryRow(ctx, `SELECT copied::text FROM `+s.table.state+` WHERE source = $1`, s.cfg.Name).Scan(&text)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42703" {
		return 0, fmt.Errorf("table %s_relay has no column copied, which messages need: ALTER TABLE %s ADD COLUMN copied pg_lsn NOT NULL DEFAULT '0/0'", s.cfg.Table, s.table.state)
	}
	if err != nil {
		return 0, fmt.Errorf("read up to where messages were copied: %w", err)
	}
	return pglogrepl.ParseLSN(text)
}

// gap tells whether the slot may have forgotten messages that were not copied. A slot is
// confirmed up to where it was created, which is noted as copied, or to a position that was
// committed before.
func (s *session) gap(f slotFacts, position, copied pglogrepl.LSN) bool {
	return copied > 0 && (!f.exists || f.walStatus == "lost" || f.confirmed > max(position, copied))
}

// openMessages notes from where on messages are followed, where a slot is new.
func (s *session) openMessages(ctx context.Context, position, copied, confirmed pglogrepl.LSN) (*messages, error) {
	if s.cfg.Messages == "" {
		return nil, nil //nolint:nilnil // no messages, and no error
	}
	if confirmed <= max(position, copied) && copied > 0 {
		return newMessages(s, copied), nil
	}
	if copied > 0 {
		s.logger.Warn("messages may be lost, as --accept-gap allows", "outbox", s.cfg.Name, "from", max(position, copied).String(), "to", confirmed.String())
	}
	from := max(copied, confirmed)
	tag, err := s.query.Exec(ctx, `UPDATE `+s.table.state+` SET copied = $3::text::pg_lsn WHERE source = $1 AND epoch = $2`, s.cfg.Name, s.state.before.epoch, from.String())
	if err == nil && tag.RowsAffected() == 0 {
		err = errLeadership
	}
	if err != nil {
		return nil, fmt.Errorf("note from where on messages are followed: %w", explained(err, s.cfg))
	}
	return newMessages(s, from), nil
}
