// Package rate says how many calls a client may make, whichever of several gateways
// it calls.
//
// The rate is counted in Redis by GCRA, the leaky bucket that needs one time stamp
// per client. A client that was quiet may send one second's worth at once
// ([Limit.Burst]), and then as fast as its rate.
//
// Asking Redis about every call would cost each a round trip. So a gateway takes
// tokens in chunks of up to 50 ms worth of the rate ([Limit.chunk]), uses them up,
// asks for the next chunk before it is empty, and drops what is older than a second.
// A client that calls seldom, or whose rate is below 40/s, is counted call by call.
//
// Before Redis stands a guard in this process with the same rate. What it refuses,
// Redis is not asked about; and it decides alone while Redis is away or slow. No
// call waits for Redis longer than [Config.Wait].
//
// How exact it is, n gateways together:
//   - over any time, at most burst + rate × time + n × 2 chunks: a gateway can hold
//     a chunk and the next when the time begins. One gateway alone never exceeds
//     burst + rate × time, and neither do several where the chunk is one token;
//   - while Redis is away, n × (burst + rate × time): each guard lets its own through.
//     The same, for the moment, when Redis forgets or the rate is changed;
//   - a client that is refused may have been so for up to 50 ms too long: for that
//     time Redis is not asked again.
//
// It imports no other internal package. Nothing but redis.go knows Redis.
package rate
