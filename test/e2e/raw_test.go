//go:build integration

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// rawRequest is the text of a POST with a Host and, unless header has one, a
// Content-Length.
func rawRequest(path, header, body string) string {
	length := ""
	if lower := strings.ToLower(header); !strings.Contains(lower, "content-length") && !strings.Contains(lower, "transfer-encoding") {
		length = fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	return "POST " + path + " HTTP/1.1\r\nHost: gateway\r\n" + header + length + "\r\n" + body
}

// exchange opens a connection, writes text, and reads one answer. It reads
// while it writes if meanwhile is set, else only when all is written.
func exchange(addr, text string, meanwhile bool, limit time.Duration) (answer, error) {
	begun := time.Now()
	conn, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(begun.Add(limit)); err != nil {
		return answer{}, err
	}
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, text)
		written <- err
	}()
	if !meanwhile {
		<-written // a connection that is reset on the way may still have brought an answer
	}
	return readAnswer(conn, begun)
}

// readAnswer reads one answer, and those of status 1xx before it.
func readAnswer(conn net.Conn, begun time.Time) (answer, error) {
	reader := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			return answer{}, fmt.Errorf("read answer after %v: %w", time.Since(begun).Round(time.Millisecond), err)
		}
		if resp.StatusCode < 200 {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		return answer{resp.StatusCode, resp.Header, body, time.Since(begun), begun}, err
	}
}
