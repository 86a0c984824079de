package idempotency

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// settledHead is a settled record up to its partition.
const settledHead = "S0123456789abcdefrecei-topi\x00\x00\x00\x00\x00\x00\x00\x01"

func TestParseRecord(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		text string
		want *stored // nil: an error
	}{
		{"claimed", "C 1700000030000 1700000000000 fp tok 3 gw-1 orders", &stored{
			state: "C", leaseEndMs: 1700000030000, fingerprint: "fp", token: "tok", fromMs: 1700000000000,
			partitions: []int32{3}, owner: "gw-1", topic: "orders",
		}},
		{"unknown, several partitions", "U 1 0 fp tok 3,0,12 gw-1 orders", &stored{
			state: "U", leaseEndMs: 1, fingerprint: "fp", token: "tok", fromMs: 0,
			partitions: []int32{3, 0, 12}, owner: "gw-1", topic: "orders",
		}},
		{"settled", settledHead + "\x03\xac\x02", &stored{state: "S", fingerprint: "0123456789abcdef", kept: event.KeptReceipt{
			Partition: 3, Offset: 300, TimeNs: 1, Topic: event.TopicHash([]byte("topi")), Receipt: event.ReceiptHash([]byte("recei-")),
		}}},
		{"empty", "", nil},
		{"another state", "X 1 fp tok 0 3 gw-1 orders", nil},
		{"state in lower case", "c 1 fp tok 0 3 gw-1 orders", nil},
		{"with an order", "C 1700000030000 1700000000000 fp tok 3 gw-1 orders @7.1700000000000001", &stored{
			state: "C", leaseEndMs: 1700000030000, fromMs: 1700000000000, fingerprint: "fp", token: "tok", partitions: []int32{3}, owner: "gw-1", topic: "orders", order: "@7.1700000000000001",
		}},
		{"a field too few", "C 1 0 fp tok 3 gw-1", nil},
		{"a field too many", "C 1 0 fp tok 3 gw-1 orders more", nil},
		{"lease end is not a number", "C soon 0 fp tok 3 gw-1 orders", nil},
		{"time of first claim is not a number", "C 1 then fp tok 3 gw-1 orders", nil},
		{"no partitions", "C 1 0 fp tok  gw-1 orders", nil},
		{"a partition is not a number", "C 1 0 fp tok 3,x gw-1 orders", nil},
		{"a partition beyond 32 bits", "C 1 0 fp tok 2147483648 gw-1 orders", nil},
		{"settled, nothing else", "S", nil},
		{"settled, as text", `S fp {"id":"e 1","partition":3,"key":null,"time":"…"}`, nil},
		{"settled without partition", settledHead, nil},
		{"settled with half a partition", settledHead + "\x83", nil},
		{"settled with a partition beyond 31 bits", settledHead + "\x80\x80\x80\x80\x08\x00", nil},
		{"settled with a partition beyond 64 bits", settledHead + strings.Repeat("\xff", 10) + "\x00", nil},
		{"settled without offset", settledHead + "\x03", nil},
		{"settled with half an offset", settledHead + "\x03\xac", nil},
		{"settled with an offset beyond 63 bits", settledHead + "\x03" + strings.Repeat("\xff", 9) + "\x01", nil},
		{"settled with more", settledHead + "\x03\xac\x02\x00", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseRecord(tt.text)
			if tt.want == nil {
				require.ErrorIs(t, err, errBadRecord)
				return
			}
			require.NoError(t, err)
			require.Equal(t, *tt.want, got)
		})
	}
}

// embeddedLimit is the longest value that Redis keeps in one piece with its object.
const embeddedLimit = 44

func TestSettledRecordRoundTrip(t *testing.T) {
	t.Parallel()
	key := "o-1"
	for _, partition := range []int32{0, 1, 127, 128, 16383, math.MaxInt32} {
		for _, offset := range []int64{0, 1, 127, 128, 48211, 1<<42 - 1, math.MaxInt64} {
			for _, time := range []string{"2026-01-31T12:00:00.123456789Z", "2026-01-31T13:00:00+01:00"} {
				r := event.Receipt{ID: "e-1", Type: "orders.placed", Topic: "orders", Partition: partition, Offset: offset, Key: &key, Time: time}
				f := event.Fingerprint{7, 8, 9}
				text := recordOf(f, r)
				if partition <= 16383 && offset < 1<<42 {
					require.LessOrEqual(t, len(text), embeddedLimit)
				}
				got, err := parseRecord(text)
				require.NoError(t, err)
				require.True(t, got.isOf(f))
				for n := range f {
					other := f
					other[n] ^= 1
					require.Equal(t, n >= shortFingerprint, got.isOf(other))
				}
				receipt, ok := got.kept.Complete(r)
				require.True(t, ok)
				require.Equal(t, r, receipt)
			}
		}
	}
}

func TestClaimBody(t *testing.T) {
	t.Parallel()
	claim := event.Claim{Token: "tok", Placement: event.Placement{Topic: "orders", Partition: 3, Owner: "gw-1"}}
	start := encodeFingerprint(event.Fingerprint{}) + " tok "
	tests := []struct {
		name    string
		earlier []int32
		want    string
	}{
		{"first", nil, "3 gw-1 orders"},
		{"added", []int32{7, 0}, "7,0,3 gw-1 orders"},
		{"there already", []int32{7, 3, 0}, "7,3,0 gw-1 orders"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before := fmt.Sprint(tt.earlier)
			require.Equal(t, start+tt.want, string(appendClaimBody(nil, claim, tt.earlier)))
			require.Equal(t, before, fmt.Sprint(tt.earlier), "its input stays as it is")
		})
	}
}

func TestParseResult(t *testing.T) {
	t.Parallel()
	fingerprint := event.Fingerprint{1}
	fp := encodeFingerprint(fingerprint)
	claimed := "C 5000 1000 " + fp + " tok 3,1 gw-1 orders"
	unknown := "U" + claimed[1:]
	abandoned := func(text string) event.ClaimResult {
		return event.ClaimResult{State: event.Abandoned, Abandoned: event.AbandonedClaim{
			Text: text, Token: "tok", Fingerprint: fingerprint, Owner: "gw-1", Topic: "orders", Partitions: []int32{3, 1},
			From: time.UnixMilli(1000),
		}}
	}
	leftUnknown := event.ClaimResult{State: event.LeftUnknown, LeaseLeft: time.Millisecond}
	reused := event.ClaimResult{State: event.Reused}
	kept := event.KeptReceipt{Partition: ' ', Offset: ' ', TimeNs: 0x2020, Receipt: event.ReceiptHash{' ', ' '}} // as many spaces as can be
	settled := event.ClaimResult{State: event.Settled, Kept: &kept}
	tests := []struct {
		name          string
		text          string
		want          event.ClaimResult // zero: an error
		transactional event.ClaimResult
	}{
		{"claimed", "W", event.ClaimResult{State: event.Claimed}, event.ClaimResult{State: event.Claimed}},
		{"absent", "R4000 ", event.ClaimResult{State: event.Absent}, event.ClaimResult{State: event.Absent}},
		{
			"in progress", "R4000 " + claimed,
			event.ClaimResult{State: event.InProgress, LeaseLeft: time.Second},
			event.ClaimResult{State: event.InProgress, LeaseLeft: time.Second},
		},
		{"unknown", "R4999 " + unknown, leftUnknown, abandoned(unknown)},
		{"the lease ends at its end", "R5000 " + claimed, abandoned(claimed), abandoned(claimed)},
		{"unknown, lease over", "R9000 " + unknown, abandoned(unknown), abandoned(unknown)},
		{"settled", "R4000 " + settledRecord(fingerprint, kept), settled, settled},
		{"reused", "R4000 " + strings.Replace(claimed, fp, "other", 1), reused, reused},
		{"reused although abandoned", "R9000 " + strings.Replace(claimed, fp, "other", 1), reused, reused},
		{"reused although settled", "R4000 " + settledRecord(event.Fingerprint{2}, kept), reused, reused},
		{"nothing", "", event.ClaimResult{}, event.ClaimResult{}},
		{"marker", "M", event.ClaimResult{}, event.ClaimResult{}},
		{"no time", "R " + claimed, event.ClaimResult{}, event.ClaimResult{}},
		{"no record", "R4000", event.ClaimResult{}, event.ClaimResult{}},
		{"another's record", "R4000 hello", event.ClaimResult{}, event.ClaimResult{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for transactional, want := range map[bool]event.ClaimResult{false: tt.want, true: tt.transactional} {
				got, err := parseResult(tt.text, fingerprint, transactional)
				if want.State == event.Abandoned {
					require.WithinDuration(t, time.Now(), got.Abandoned.LeaseEnded, patience)
					got.Abandoned.LeaseEnded = time.Time{}
				}
				require.Equal(t, want, got)
				require.Equal(t, want.State == 0, err != nil, "%v", err)
			}
		})
	}
}

func TestLeaseEndedByThisClock(t *testing.T) {
	t.Parallel()
	before := time.Now()
	s, err := parseResult("R9000 C 5000 1000 fp tok 3 gw-1 orders", event.Fingerprint{}, false)
	after := time.Now()
	require.NoError(t, err)
	require.WithinRange(t, s.Abandoned.LeaseEnded, before.Add(-4*time.Second), after.Add(-4*time.Second))
	require.Zero(t, s.Abandoned.Fingerprint, "a text that is not a fingerprint")
}

// FuzzParseRecord: any text in Redis is either read or refused, and what was read can be
// taken over and settled without losing anything.
func FuzzParseRecord(f *testing.F) {
	for _, seed := range []string{
		"", "W", "C 1700000030000 1700000000000 fp tok 3 gw-1 orders", "U 1 0 fp tok 3,0,12 gw-1 orders",
		settledHead + "\x03\xac\x02", settledHead + "\x83", "S", "C -9223372036854775808 0 fp tok -1 gw orders", "C 1 2 3 4 , 6 7",
	} {
		f.Add(seed, int64(1700000000000))
	}
	f.Fuzz(func(t *testing.T, text string, now int64) {
		rec, err := parseRecord(text)
		if err != nil {
			require.ErrorIs(t, err, errBadRecord)
			return
		}
		switch rec.state {
		case stateSettled:
			var f event.Fingerprint
			copy(f[:], rec.fingerprint)
			again, err := parseRecord(settledRecord(f, rec.kept))
			require.NoError(t, err)
			require.Equal(t, rec, again)
		case stateClaimed, stateUnknown:
			require.NotEmpty(t, rec.partitions)
			place := event.Placement{Topic: rec.topic, Owner: rec.owner, Partition: rec.partitions[0]}
			body := appendClaimBody(nil, event.Claim{Token: rec.token, Placement: place}, rec.partitions)
			again, err := parseRecord(fmt.Sprintf("%s %d %d %s", rec.state, rec.leaseEndMs, rec.fromMs, body))
			require.NoError(t, err)
			again.fingerprint = rec.fingerprint
			require.Equal(t, rec, again)
		default:
			require.Fail(t, "no such state", rec.state)
		}
		s, err := parseResult(fmt.Sprintf("R%d %s", now, text), event.Fingerprint{}, now%2 == 0)
		require.NoError(t, err)
		require.NotEqual(t, event.Claimed, s.State)
		require.GreaterOrEqual(t, s.LeaseLeft, time.Duration(0))
	})
}

// What a settled event leaves in Redis does not grow with what its sender wrote.
func TestSettledRecordsDoNotGrow(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("\x01", 1024)
	r := event.Receipt{
		ID: strings.Repeat("i", 2048), Type: "t", Version: "v1", Topic: "t", Partition: 2047, Offset: 1 << 40, Key: &key,
		Time: "2026-01-31T12:00:00." + strings.Repeat("1", 2000) + "Z",
	}
	record := settledRecord(event.Fingerprint{1}, event.KeepReceipt(r, r.AppendJSON(nil)))
	require.LessOrEqual(t, len(record), 44)
}
