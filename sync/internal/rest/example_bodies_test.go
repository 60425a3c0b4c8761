package rest

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// example reads one of the bodies beside the repository.
func example(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "shared", "examples", "eventbrite", name))
	if err != nil {
		t.Skip("no examples beside the repository")
	}
	return strings.TrimSpace(string(b))
}

func TestTheExampleOfABudgetHeaderIsRead(t *testing.T) {
	header := example(t, "header_x_rate_limit.txt")
	c, _ := start(t, status(200, "X-Rate-Limit", header))
	if _, err := get(c); err != nil {
		t.Fatal(err)
	}
	if b, ok := c.Budget(); !ok || b.Limit != 2000 || b.Used != 1750 {
		t.Errorf("of %q the budget is %+v, %v", header, b, ok)
	}
}

func TestTheExampleOfABadTokenGivesItsCode(t *testing.T) {
	body := example(t, "error_401.json")
	c, _ := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(body))
	})
	_, err := get(c)
	var said *StatusError
	if !errors.As(err, &said) || said.Status != http.StatusUnauthorized || said.Code != "INVALID_AUTH" {
		t.Errorf("error %v, want 401 INVALID_AUTH", err)
	}
}
