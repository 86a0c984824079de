package idempotency

import (
	"context"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/event"
)

// suitableScript finds out whether a Redis can keep claims at all: scripts have to see who
// it is, and its writes have to form one stream, of which a failover loses only the end.
// The result is "", or what the service lacks.
var suitableScript = goredis.NewScript(`
local info = redis.pcall('INFO', 'replication')
if type(info) ~= 'string' then
  local text = type(info) == 'table' and info.err or ''
  if string.find(text, '^NOPERM') then return '' end
  return 'it refuses INFO in scripts (' .. text .. '), by which a claim tells a failover from its own Redis; Redis Cloud and Redis Software do'
end
if not string.find(info, 'master_replid:', 1, true) then return 'its INFO replication has no master_replid, by which a claim tells a failover from its own Redis' end
if string.find(info, 'role:active-replica', 1, true) then return 'it is active-active: it keeps a write that its other side overrules' end
info = redis.pcall('INFO', 'server')
if type(info) == 'string' and string.find(info, 'dragonfly_version', 1, true) then
  return 'it is Dragonfly, whose writes do not form one stream: what a failover loses cannot be measured'
end
return ''
`)

// unsuitableError says what a Redis lacks.
type unsuitableError struct{ lacks string }

func (e *unsuitableError) Error() string {
	return fmt.Sprintf("this Redis cannot keep claims: %s (docs/operations.md, Managed services)", e.lacks)
}

// learnSuitable asks Redis what it is, refuses claims if it cannot keep them, and reports
// whether that is not so. It logs each change once.
func (a *availability) learnSuitable(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	lacks, err := suitableScript.Run(ctx, a.scripts.rdb, []string{probeKey(0)}).Text()
	if err != nil {
		return a.unsuitable.Load() == nil // as was known
	}
	a.learned.Store(time.Now().UnixNano())
	before := a.unsuitable.Load()
	switch {
	case lacks == "" && before != nil:
		a.unsuitable.Store(nil)
		a.logger.Info("this Redis can keep claims")
	case lacks != "" && before == nil:
		err := &unsuitableError{lacks: strings.TrimSpace(lacks)}
		a.unsuitable.Store(&event.StoreAway{Cause: err})
		a.logger.Error("events with an idempotency key are refused (503, not written), or published without deduplication where on_store_failure says so", "error", err)
	}
	return lacks == ""
}

// suitableInterval is between two looks at whether a Redis that could keep claims still is
// one that can: it may be replaced.
const suitableInterval = time.Minute
