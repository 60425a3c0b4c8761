package main

import (
	"context"
	"flag"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/db/pgtest"
)

// sql recognises a statement by its beginning, or a piece of one by a clause that no sentence
// has.
var sql = regexp.MustCompile(`(?is)^\s*(select|insert into|update|delete from|copy|with)\s` +
	`|\b(where|and|or|on)\s+[\w.]+\s*(=|<|>|@>|\bin\s*\(|\bis\s+(not\s+)?null|\blike\s)` +
	`|\b(order|group|partition)\s+by\s|\blimit\s+[$\d]|\bon\s+conflict\b|\breturning\s+[\w.*]+\s*(,|$)|\bselect\s.*\sfrom\s`)

// verb is where fmt puts a value into a text.
var verb = regexp.MustCompile(`%[^%\s]`)

func TestOnlyListsOfColumnsAreGluedIntoSQL(t *testing.T) {
	t.Parallel()
	all, positions := sources(t)
	texts := map[string]map[string]string{}
	for _, s := range all {
		if texts[s.folder] == nil {
			texts[s.folder] = map[string]string{}
		}
		constants(s.file, texts[s.folder])
	}
	for _, s := range all {
		if slices.Contains(tooLarge, s.folder) || s.folder == "attendees/db/pgtest" { // which names databases
			continue
		}
		for _, at := range glued(s.file, texts[s.folder]) {
			t.Errorf("%s glues something into SQL that is no list of columns: make it a view or a function", positions.Position(at))
		}
	}
}

// constants adds a file's string constants to those of its package.
func constants(f *ast.File, to map[string]string) {
	ast.Inspect(f, func(n ast.Node) bool {
		d, ok := n.(*ast.GenDecl)
		if !ok || d.Tok != token.CONST {
			return true
		}
		for _, spec := range d.Specs {
			v := spec.(*ast.ValueSpec)
			for i, name := range v.Names {
				to[name.Name] = "" // one that repeats another has no value of its own
				if i < len(v.Values) {
					for _, part := range operands(v.Values[i]) {
						to[name.Name] += literal(part)
					}
				}
			}
		}
		return true
	})
}

// glued finds SQL that is put together of more than literals and constants whose names end in
// columns: by +, by += or by fmt.
func glued(f *ast.File, constants map[string]string) (at []token.Pos) {
	text := func(e ast.Expr) string {
		if id, ok := e.(*ast.Ident); ok {
			return constants[id.Name]
		}
		return literal(e)
	}
	isSQL := func(e ast.Expr) bool { return sql.MatchString(text(e)) }
	inner := map[ast.Expr]bool{} // sums that are part of another
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			parts := operands(n)
			if inner[n] || len(parts) == 1 {
				return true
			}
			for _, side := range []ast.Expr{n.X, n.Y} {
				markSums(side, inner)
			}
			if !slices.ContainsFunc(parts, isSQL) {
				return true
			}
			for _, p := range parts {
				if id, ok := p.(*ast.Ident); ok {
					_, constant := constants[id.Name]
					if constant && strings.HasSuffix(strings.ToLower(id.Name), "columns") {
						continue
					}
				}
				if literal(p) == "" {
					at = append(at, p.Pos())
				}
			}
		case *ast.AssignStmt:
			if n.Tok == token.ADD_ASSIGN && slices.ContainsFunc(operands(n.Rhs[0]), isSQL) {
				at = append(at, n.Pos())
			}
		case *ast.CallExpr:
			if of, ok := n.Fun.(*ast.SelectorExpr); ok && strings.HasSuffix(of.Sel.Name, "printf") || ok && strings.HasSuffix(of.Sel.Name, "Appendf") {
				for _, arg := range n.Args {
					if isSQL(arg) && verb.MatchString(text(arg)) {
						at = append(at, arg.Pos())
					}
				}
			}
		}
		return true
	})
	return at
}

// markSums marks the sums that are part of a sum.
func markSums(e ast.Expr, marked map[ast.Expr]bool) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		markSums(e.X, marked)
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			marked[e] = true
			markSums(e.X, marked)
			markSums(e.Y, marked)
		}
	}
}

// operands are the parts of a sum.
func operands(e ast.Expr) []ast.Expr {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return operands(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return append(operands(e.X), operands(e.Y)...)
		}
	}
	return []ast.Expr{e}
}

// literal is the text of a string in quotes, the quotes included; empty where it is none.
func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	return lit.Value[1:len(lit.Value)-1] + "\n"
}

var updateColumns = flag.Bool("update-columns", false, "write the list of columns again")

// Every text or JSON column of the new core is listed with what its comment says it holds: who
// adds one has to declare it free of personal data, here and there.
func TestEveryTextColumnIsDeclaredFreeOfPersonalData(t *testing.T) {
	t.Parallel()
	got, bare, err := textColumns(t.Context(), pgtest.Next(t))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "columns.txt")
	if *updateColumns {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("a text or JSON column is not declared free of personal data (-declared +there):\n%s", diff)
	}
	if len(bare) > 0 {
		t.Errorf("columns without a comment: %v", bare)
	}
}

// textColumns lists all columns that could hold text in the clear, with their comments, and
// the columns of any type that have none.
func textColumns(ctx context.Context, db *sqlx.DB) (list string, bare []string, err error) {
	var columns []struct {
		Name    string `db:"name"`
		Comment string `db:"comment"`
		Text    bool   `db:"text"`
	}
	err = db.SelectContext(ctx, &columns, `
		select
			case s.nspname when 'public' then '' else s.nspname || '.' end || k.relname || '.' || c.attname as name,
			coalesce(col_description(k.oid, c.attnum), '') as comment,
			-- Of an array its elements count, of a domain what it is made of. An enum's labels are ours.
			base.typcategory in ('S', 'X') or base.typtype = 'c' or base.typname in ('json', 'jsonb', 'xml', 'hstore') as text
		from pg_class k
		join pg_namespace s on s.oid = k.relnamespace and s.nspname !~ '^pg_' and s.nspname <> 'information_schema'
		join pg_attribute c on c.attrelid = k.oid and c.attnum > 0 and not c.attisdropped
		join pg_type own on own.oid = c.atttypid
		join pg_type element on element.oid = case when own.typcategory = 'A' then own.typelem else own.oid end
		join pg_type base on base.oid = case when element.typtype = 'd' then element.typbasetype else element.oid end
		where k.relkind in ('r', 'p', 'm', 'f') and k.relname not like 'goose%'
		order by 1`)
	for _, c := range columns {
		if c.Text {
			list += c.Name + ": " + c.Comment + "\n"
		}
		if c.Comment == "" {
			bare = append(bare, c.Name)
		}
	}
	return list, bare, err
}

func TestTheHouseRulesOfSQLCanBeBroken(t *testing.T) {
	t.Parallel()
	const before = "const userColumns, columns, q, held = `id, name`, `id`, `select id from users`, `event_id in (select event_id from holds)`\n"
	for text, want := range map[string]int{
		"var s = `select ` + userColumns + ` from users`":                   0,
		"var s = `\n\t\tselect ` + columns + `\n\t\tfrom users`":            0,
		"var s = `select id ` + `from users`":                               0,
		"var s = \"no statement \" + name":                                  0,
		"var s = \"select a form from \" + place":                           1, // SQL by its looks: say it otherwise
		"var s = \"the event and \" + name + \" on its own\"":               0,
		"var s = `delete from users where ` + predicate":                    1,
		"var s = `select id from users u where ` + held(\"u\") + ``":        1,
		"var s = `select id from users where ` + held":                      1,
		"var s = q + clause":                                                2,
		"var s = start + ` where id = $1`":                                  1,
		"var s = start + ` order by name`":                                  1,
		"var s = start + (` order by name` + direction)":                    2,
		"var s = `select ` + localColumns + ` from users`":                  1, // which is no constant
		"var s = `select ` + fmt.Sprint(n) + ` from users`":                 1,
		"func f() { s += ` and name = $2` }":                                1,
		"func f() { s += `, and so on` }":                                   0,
		"func f() { s = fmt.Sprintf(`select id from %s`, table) }":          1,
		"func f() { s = fmt.Errorf(\"select a user from %s\", table) }":     0,
		"func f() { fmt.Fprintf(w, `delete from users where id = %d`, n) }": 1,
		"func f() { do(x + y(`select ` + name)) }":                          1,
	} {
		file := parsed(t, before+text)
		known := map[string]string{}
		constants(file, known)
		if got := len(glued(file, known)); got != want {
			t.Errorf("%s: %d faults, want %d", text, got, want)
		}
	}

	db := pgtest.Next(t)
	before1, _, err := textColumns(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"text", "text[]", "varchar(9)", "char", "name", "json", "jsonb", "jsonb[]", "xml", "line_of_text", "line_of_text[]", "pair"} {
		if _, err := db.Exec(`
			create domain line_of_text as text;
			create type pair as (one text, two text);
			create schema aside;
			create table aside.sneaky (note ` + kind + `)`); err != nil {
			t.Fatal(err)
		}
		list, bare, err := textColumns(t.Context(), db)
		if err != nil || list == before1 || !slices.Equal(bare, []string{"aside.sneaky.note"}) {
			t.Errorf("a column of type %s is not found, or its missing comment: %v (%v)", kind, bare, err)
		}
		if _, err := db.Exec(`drop schema aside cascade; drop domain line_of_text; drop type pair`); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec(`create table fine (n int, at timestamptz, sealed bytea, many int[], id uuid)`); err != nil {
		t.Fatal(err)
	}
	if list, _, err := textColumns(t.Context(), db); err != nil || list != before1 {
		t.Errorf("numbers, times, keys and ciphertext are taken for text (%v)", err)
	}
}
