// Package redis makes the gateway's client of Redis. It is the one place that
// constructs a go-redis client: packages that talk to Redis are handed a [Client].
//
// Files that also need go-redis itself import it as goredis.
//
// It imports no other package of the gateway.
package redis
