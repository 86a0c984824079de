package publish

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/preflight"
)

func TestSettingsOfNewTopics(t *testing.T) {
	t.Parallel()
	week := preflight.Settings{"log.retention.ms": "604800000", "log.retention.bytes": "-1", "message.max.bytes": "1048588"}
	hours := preflight.Settings{"log.retention.hours": "168", "log.retention.bytes": "-1", "message.max.bytes": "1048588"}
	with := func(name, value string) preflight.Settings {
		s := preflight.Settings{"log.retention.ms": "604800000", "log.retention.bytes": "-1", "message.max.bytes": "1048588"}
		s[name] = value
		return s
	}
	plan := TopicPlan{Replication: 1, Retention: 25 * time.Hour, MaxRecord: 900 << 10}
	three, large, long := plan, plan, plan
	three.Replication, large.MaxRecord, long.Retention = 3, 2<<20, 30*24*time.Hour
	for name, c := range map[string]struct {
		plan     TopicPlan
		defaults preflight.Settings
		want     map[string]string // beside cleanup.policy=delete
	}{
		"defaults will do":                     {plan, week, nil},
		"in hours":                             {plan, hours, nil},
		"three replicas":                       {three, week, map[string]string{"min.insync.replicas": "2"}},
		"two of them at least by default":      {plan, with("min.insync.replicas", "2"), map[string]string{"min.insync.replicas": "1"}},
		"three replicas, whatever the default": {three, with("min.insync.replicas", "3"), map[string]string{"min.insync.replicas": "2"}},
		"large records":                        {large, week, map[string]string{"max.message.bytes": "2097152"}},
		"larger than needed":                   {plan, with("message.max.bytes", "9000000"), nil},
		"keys remembered for long":             {long, week, map[string]string{"retention.ms": "2592000000"}},
		"short by default":                     {plan, with("log.retention.ms", "3600000"), map[string]string{"retention.ms": "90000000"}},
		"forever by default":                   {long, with("log.retention.ms", "-1"), nil},
		"milliseconds win":                     {plan, preflight.Settings{"log.retention.ms": "1", "log.retention.minutes": "9999", "log.retention.hours": "999", "log.retention.bytes": "-1"}, map[string]string{"retention.ms": "90000000"}},
		"minutes before hours":                 {plan, preflight.Settings{"log.retention.minutes": "60", "log.retention.hours": "999", "log.retention.bytes": "-1"}, map[string]string{"retention.ms": "90000000"}},
		"a size by default":                    {plan, with("log.retention.bytes", "1000"), map[string]string{"retention.bytes": "-1"}},
		"defaults not known":                   {plan, nil, map[string]string{"retention.ms": "604800000", "retention.bytes": "-1"}},
		"not known, long":                      {long, nil, map[string]string{"retention.ms": "2592000000", "retention.bytes": "-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := map[string]string{"cleanup.policy": "delete"}
			for k, v := range c.want {
				want[k] = v
			}
			require.Equal(t, want, c.plan.settings(c.defaults))
		})
	}
}
