package services

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

const loopback = "127.0.0.1"

// errPortTaken says that another process got the port first.
var errPortTaken = errors.New("port is taken by another process")

// startAttempts is how often a server whose port this package chooses is started when
// other processes take its port first.
const startAttempts = 4

// Ports are drawn from below the range that Linux uses for outgoing connections
// and for listeners on port 0 (32768 and up), so that a killed server's port is
// still free when the server restarts.
const (
	firstPort = 12000
	lastPort  = 32000
)

// reserved holds the ports that this process has handed out, so that servers started
// side by side never get the same one. It is the only package state: a test process
// starts few servers, and ports have no other owner.
var reserved sync.Map

// clusterBus is how far above its port a node of a Redis Cluster listens for the
// others.
const clusterBus = 10_000

// freePort returns a port of 127.0.0.1 without a listener at this moment.
func freePort() (int, error) { return freePorts(0) }

// freePorts returns a free port; unless above is 0, the port that many above it is
// free too.
func freePorts(above int) (int, error) {
	const tries = 200
	for range tries {
		port := firstPort + rand.IntN(lastPort-above-firstPort)
		if reserve(port) && (above == 0 || reserve(port+above)) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find free port on %s between %d and %d: none in %d tries", loopback, firstPort, lastPort, tries)
}

// reserve hands a port out if it is free.
func reserve(port int) bool {
	if _, taken := reserved.LoadOrStore(port, true); taken {
		return false
	}
	l, err := net.Listen("tcp", addr(port))
	return err == nil && l.Close() == nil
}

// FreePort returns a port of 127.0.0.1 without a listener at this moment, which no
// server started by this process gets.
func FreePort() (int, error) { return freePort() }

// FreeClusterPort is FreePort for a node of a Redis Cluster, which also listens
// 10,000 above it.
func FreeClusterPort() (int, error) { return freePorts(clusterBus) }

// portOr returns port, or a free one if port is 0.
func portOr(port int) (int, error) {
	if port != 0 {
		return port, nil
	}
	return freePort()
}

func addr(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// withPortRetry calls start until it succeeds, or fails for another reason than a port
// that is taken. start chooses new ports each time; with fixed ports there is nothing
// to choose, and it is called once.
func withPortRetry[T any](fixed bool, start func() (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		v, err := start()
		if err == nil || fixed || !errors.Is(err, errPortTaken) || attempt == startAttempts {
			return v, err
		}
	}
}
