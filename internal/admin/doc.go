// Package admin is the second listener, for operators: health, metrics and profiles.
//
//	GET /livez         200 as long as the process answers
//	GET /readyz        200 if the gateway takes events, else 503; the JSON body names each
//	                   check, and the event types of which not all events are taken
//	GET /metrics       Prometheus metrics
//	GET /debug/pprof/  profiles, only if the listener is on a loopback address
//
// A check that passed is repeated after 2 s at the earliest, one that failed after
// 200 ms, however often /readyz is asked.
//
// It is given its checks as functions and imports no other package of the gateway.
package admin
