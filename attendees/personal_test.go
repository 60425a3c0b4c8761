package attendees_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"lethe/attendees"
)

const secret = "Ada Invented"

// printed are the verbs of package fmt that may be used on anything, and one that does
// not exist.
func printed(v any) string {
	var b strings.Builder
	for _, verb := range "vtbcdoOxXUeEfFgGsqz" {
		for _, flag := range []string{"", "+", "#", " ", "-40", "040", ".3"} {
			fmt.Fprintf(&b, "%"+flag+string(verb)+"\n", v)
		}
	}
	fmt.Fprint(&b, v)
	fmt.Fprintln(&b, v)
	b.WriteString(errors.New(fmt.Sprint(v)).Error())
	return b.String()
}

func logged(v any) string {
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("seen", "who", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("seen", "who", v)
	slog.New(slog.NewTextHandler(&b, nil)).WithGroup("g").With("who", v).Info("seen")
	return b.String()
}

// shows finds a line of text that holds the secret, or what a precision, a base or a
// quoting would leave of it.
func shows(text string) (line string, found bool) {
	for _, s := range []string{secret, "Ada", fmt.Sprintf("%x", secret[:3]), fmt.Sprintf("%X", secret[:3]), fmt.Sprintf("% x", secret[:3])} {
		for line := range strings.Lines(text) {
			if strings.Contains(line, s) {
				return line, true
			}
		}
	}
	return "", false
}

func TestPersonalShowsInNoPrintNorLogNorJSON(t *testing.T) {
	p := attendees.Personal(secret)
	type record struct {
		Name attendees.Personal
		Ptr  *attendees.Personal
		List []attendees.Personal
		Map  map[string]attendees.Personal
	}
	policy := attendees.BuiltIn()
	links := attendees.FieldLinks{{Purpose: attendees.Forum, Field: attendees.Name, Question: "q"}}
	answers := map[attendees.QuestionID]attendees.Answer{"q": {p}}
	m := policy.Minimise(attendees.Registration{Name: p, Answers: answers}, links)
	r := policy.MinimiseResponse(attendees.Response{Answers: answers}, links)
	if m.Name() != p || r.Name() != p {
		t.Fatal("the name was to be kept, so that there is something to hide")
	}
	type run struct{ batch []attendees.Layer } // as a sync has them: in an unexported field
	shown := attendees.Merge(&policy, m, []attendees.Layer{r}, attendees.Layer{})
	for what, v := range map[string]any{
		"value":               p,
		"pointer":             &p,
		"slice":               []attendees.Personal{p},
		"map value":           map[string]attendees.Personal{"name": p},
		"struct":              record{p, &p, []attendees.Personal{p}, map[string]attendees.Personal{"name": p}},
		"pointer to struct":   &record{Name: p},
		"answer":              attendees.Answer{p},
		"registration":        attendees.Registration{Name: p, Email: p, Answers: answers},
		"response":            attendees.Response{Answers: answers},
		"attendee":            shown,
		"layer":               m,
		"pointer to layer":    &m,
		"response's layer":    r,
		"layers in a batch":   []attendees.Layer{m},
		"layers in a private": run{[]attendees.Layer{m}},
		"inside any":          []any{p, m},
	} {
		if line, found := shows(printed(v)); found {
			t.Errorf("%s: fmt shows it: %s", what, line)
		}
		if line, found := shows(logged(v)); found {
			t.Errorf("%s: slog shows it: %s", what, line)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if line, found := shows(string(text)); found {
			t.Errorf("%s: encoding/json shows it: %s", what, line)
		}
	}
}

// What Personal cannot hide is not done: its comment says why.
func TestNoMapIsKeyedByPersonalAndNothingPrintedByPointer(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.MapType:
				if isPersonal(n.Key) {
					t.Errorf("%s: a map keyed by Personal shows its keys in JSON", fset.Position(n.Pos()))
				}
			case *ast.BasicLit:
				if n.Kind == token.STRING && strings.Contains(n.Value, "%p") {
					t.Errorf("%s: %%p shows what Personal hides", fset.Position(n.Pos()))
				}
			}
			return true
		})
		return nil
	})
	if err != nil || files < 10 {
		t.Fatalf("read %d files of our source: %v", files, err)
	}
}

func isPersonal(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "Personal"
	case *ast.SelectorExpr:
		return e.Sel.Name == "Personal"
	}
	return false
}

func TestPersonalHidesWhatIsEmptyLikeWhatIsNot(t *testing.T) {
	if got, want := fmt.Sprint(attendees.Personal("")), fmt.Sprint(attendees.Personal(secret)); got != want {
		t.Errorf("empty prints %q, full %q: whether there is a name can be seen", got, want)
	}
}

func TestOnlyRevealShowsPersonal(t *testing.T) {
	if got := attendees.Personal(secret).Reveal(); got != secret {
		t.Errorf("Reveal() = %q, want %q", got, secret)
	}
}
