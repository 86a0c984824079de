// Package rate limits how many calls a client may make, whichever of several gateways
// it calls.
//
// The rate is counted in Redis by GCRA, a leaky bucket that needs one timestamp per
// client. A client that was quiet may send one second's worth at once ([Limit.Burst]),
// and after that at its rate.
//
// Asking Redis about every call would cost each call a round trip. So a gateway takes
// tokens in chunks of up to 50 ms worth of the rate ([Limit.chunk]), uses them up,
// requests the next chunk before it has none left, and drops tokens that are older than a
// second. A client that calls seldom, or whose rate is below 40/s, is counted call by call.
//
// In front of Redis this process has a guard with the same rate. Redis is not asked about
// what the guard refuses, and the guard decides alone while Redis is away or slow. No
// call waits for Redis longer than [Config.Wait].
//
// A call of several tokens, a batch, may be larger than the burst: [Limiter.Reserve] takes the
// tokens that are still to come, and says how long the call has to wait for them.
//
// How exact it is, for n gateways together:
//   - over any time, at most burst + rate × time + n × 2 chunks: a gateway can hold
//     a chunk and the next when the time begins. One gateway alone never exceeds
//     burst + rate × time, and neither do several where the chunk is one token;
//   - while Redis is away, n × (burst + rate × time): each guard lets its own through.
//     The same holds for a moment when Redis forgets or the rate is changed;
//   - a client that is refused may be refused up to 50 ms too long: for that time Redis
//     is not asked again.
//
// It imports only internal/redis of the gateway's packages. Nothing but redis.go knows
// Redis.
package rate
