// Package admin is the second listener, for operators: health, metrics and profiles.
//
//	GET /livez         200 as long as the process answers
//	GET /readyz        200 if the gateway takes events and every check passes, else 503;
//	                   the JSON body names each check
//	GET /metrics       Prometheus metrics
//	GET /debug/pprof/  profiles, only if the listener is on a loopback address
//
// A check that passed is repeated after 2 s at the earliest, one that failed after
// 200 ms, however often /readyz is asked.
//
// It is given its checks as functions and imports no other package of the gateway.
package admin
