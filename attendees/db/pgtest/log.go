package pgtest

import (
	"strings"
	"sync"
)

// Log is what a program logs in a test, which reads it while workers go on writing.
// Its zero value is ready.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write adds to the log; it never fails.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is what has been logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
