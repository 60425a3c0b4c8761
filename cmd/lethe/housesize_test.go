package main

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees/db/pgtest"
)

// How large things may be: beyond it they are two.
const (
	maxPackage = 2500 // lines of Go without tests
	maxFile    = 450
	maxMethods = 25 // exported ones of a type
	// maxCore bounds the new core, its tests not counted. The aim is 9,000, and 11,000 is
	// what it may have in the end: it is cut until then, and never grows.
	maxCore = 13_000
)

// tooLarge are the packages that the flip will shorten. The old core below attendees/old is
// covered by nothing but imports.
var tooLarge = []string{"attendees/web", "cmd/lethe", "sync/eventbrite", "sync/pull", "sync/typeform", "jobs"}

// core are the packages of the new core, and newDomain its share of the domain: the rest
// was there before.
var (
	core = []string{
		"attendees/seal", "attendees/vault", "attendees/events", "attendees/reader", "attendees/people/sheet", "attendees/people", "attendees/roster", "attendees/export",
		"attendees/retention", "attendees/rights", "attendees/rights/words", "attendees/rights/deadline",
	}
	newDomain = []string{"layer.go", "layertext.go", "merge.go", "record.go", "minimise.go", "registration.go", "clean.go"}
)

// source is one file of ours that is no test.
type source struct {
	folder, name string
	lines        int
	file         *ast.File
}

// sources reads our Go files outside the old core, tests and their helpers left out.
func sources(t *testing.T) (all []source, positions *token.FileSet) {
	t.Helper()
	positions = token.NewFileSet()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(rel))
		switch {
		case d.IsDir() && (rel == "attendees/old" || strings.HasPrefix(d.Name(), ".") && rel != "." || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(positions, path, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{folder, d.Name(), bytes.Count(text, []byte("\n")), file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, positions
}

func TestNothingIsLargerThanItMay(t *testing.T) {
	t.Parallel()
	all, _ := sources(t)
	packages, methods := map[string]int{}, map[string]int{}
	total := 0
	for _, s := range all {
		packages[s.folder] += s.lines
		if slices.Contains(core, s.folder) || s.folder == "attendees" && slices.Contains(newDomain, s.name) {
			total += s.lines
		}
		if slices.Contains(tooLarge, s.folder) {
			continue
		}
		if s.lines > maxFile {
			t.Errorf("%s/%s has %d lines, more than %d: perhaps it holds two nouns", s.folder, s.name, s.lines, maxFile)
		}
		for name := range exportedMethods(s.file) {
			methods[s.folder+"."+name] += exportedMethods(s.file)[name]
		}
	}
	for folder, lines := range packages {
		if lines > maxPackage && !slices.Contains(tooLarge, folder) {
			t.Errorf("%s has %d lines, more than %d: perhaps it is two packages", folder, lines, maxPackage)
		}
	}
	for name, n := range methods {
		if n > maxMethods {
			t.Errorf("%s has %d exported methods, more than %d", name, n, maxMethods)
		}
	}
	if total > maxCore {
		t.Errorf("the new core has %d lines, more than %d", total, maxCore)
	}
	t.Logf("the new core has %d lines", total)
}

// exportedMethods counts the exported methods of each type in a file.
func exportedMethods(f *ast.File) map[string]int {
	n := map[string]int{}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv == nil || !fn.Name.IsExported() {
			continue
		}
		kind := fn.Recv.List[0].Type
		if star, ok := kind.(*ast.StarExpr); ok {
			kind = star.X
		}
		if id, ok := kind.(*ast.Ident); ok && id.IsExported() {
			n[id.Name]++
		}
	}
	return n
}

func TestNoStoreIsEmbedded(t *testing.T) {
	t.Parallel()
	all, positions := sources(t)
	for _, s := range all {
		if slices.Contains(tooLarge, s.folder) {
			continue
		}
		for _, at := range embeddedStores(s.file) {
			t.Errorf("%s embeds a store, and so promotes all of its methods: name the field", positions.Position(at))
		}
	}
}

// embeddedStores finds exported structs that embed a type called Store. (A type of one
// operation may embed the store that it is a method of, as it is unexported.)
func embeddedStores(f *ast.File) (at []token.Pos) {
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || !spec.Name.IsExported() {
			return true
		}
		s, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range s.Fields.List {
			kind := field.Type
			if star, ok := kind.(*ast.StarExpr); ok {
				kind = star.X
			}
			name := ""
			switch k := kind.(type) {
			case *ast.Ident:
				name = k.Name
			case *ast.SelectorExpr:
				name = k.Sel.Name
			}
			if len(field.Names) == 0 && name == "Store" {
				at = append(at, field.Pos())
			}
		}
		return true
	})
	return at
}

// statement recognises SQL.
var statement = regexp.MustCompile("(?i)^[`\"]\\s*(select|insert|update|delete|copy|with)\\s")

func TestOnlyListsOfColumnsAreGluedIntoSQL(t *testing.T) {
	t.Parallel()
	all, positions := sources(t)
	for _, s := range all {
		if slices.Contains(tooLarge, s.folder) || s.folder == "attendees/db/pgtest" { // which names databases
			continue
		}
		for _, at := range glued(s.file) {
			t.Errorf("%s glues something into SQL that is no list of columns: make it a view or a function", positions.Position(at))
		}
	}
}

// glued finds concatenations of SQL and anything but a constant whose name ends in Columns, or
// SQL that is a constant of its own.
func glued(f *ast.File) (at []token.Pos) {
	ast.Inspect(f, func(n ast.Node) bool {
		sum, ok := n.(*ast.BinaryExpr)
		if !ok || sum.Op != token.ADD {
			return true
		}
		parts := operands(sum)
		sql := slices.ContainsFunc(parts, func(e ast.Expr) bool {
			lit, ok := e.(*ast.BasicLit)
			return ok && lit.Kind == token.STRING && statement.MatchString(lit.Value)
		})
		for _, p := range parts {
			if !sql {
				break
			}
			if id, ok := p.(*ast.Ident); ok && strings.HasSuffix(id.Name, "Columns") {
				continue
			}
			if _, ok := p.(*ast.BasicLit); !ok {
				at = append(at, p.Pos())
			}
		}
		return false
	})
	return at
}

func operands(e ast.Expr) []ast.Expr {
	sum, ok := e.(*ast.BinaryExpr)
	if !ok || sum.Op != token.ADD {
		return []ast.Expr{e}
	}
	return append(operands(sum.X), operands(sum.Y)...)
}

var update = flag.Bool("update-columns", false, "write the list of columns again")

// Every text or JSON column of the new core is listed with what its comment says it holds: who
// adds one has to declare it free of personal data, here and there.
func TestEveryTextColumnIsDeclaredFreeOfPersonalData(t *testing.T) {
	t.Parallel()
	db := pgtest.Next(t)
	var columns []string
	err := db.SelectContext(t.Context(), &columns, `
		select c.table_name || '.' || c.column_name || ': ' || coalesce(col_description((c.table_schema || '.' || c.table_name)::regclass, c.ordinal_position), 'NO COMMENT')
		from information_schema.columns c
		join pg_class k on k.oid = (c.table_schema || '.' || c.table_name)::regclass and k.relkind = 'r'
		where c.table_schema = 'public' and c.table_name not like 'goose%'
		  and (c.data_type in ('text', 'json', 'jsonb', 'character varying', 'name', 'xml', 'citext') or c.data_type = 'ARRAY' and c.udt_name in ('_text', '_varchar', '_jsonb'))
		order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(columns, "\n") + "\n"
	golden := filepath.Join("testdata", "columns.txt")
	if *update {
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
	var bare []string
	err = db.SelectContext(t.Context(), &bare, `
		select table_name || '.' || column_name
		from information_schema.columns
		where table_schema = 'public' and table_name not like 'goose%'
		  and col_description((table_schema || '.' || table_name)::regclass, ordinal_position) is null`)
	if err != nil || len(bare) > 0 {
		t.Errorf("columns without a comment: %v, %v", bare, err)
	}
}

func TestTheHouseSizesCanBeBroken(t *testing.T) {
	t.Parallel()
	parse := func(text string) *ast.File {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if n := exportedMethods(parse("func (s *Store) A() {}\nfunc (s Store) B() {}\nfunc (s *Store) c() {}"))["Store"]; n != 2 {
		t.Errorf("%d exported methods are counted, want 2", n)
	}
	if len(embeddedStores(parse("type Desk struct { *people.Store }"))) != 1 || len(embeddedStores(parse("type Desk struct { people *people.Store }"))) != 0 {
		t.Error("an embedded store is not told from a field")
	}
	for text, want := range map[string]int{
		"var q = `select ` + userColumns + ` from users`":            0,
		"var q = `delete from users where ` + predicate":             1,
		"var q = `select id from users u where ` + held(\"u\") + ``": 1,
		"var q = \"no statement \" + name":                           0,
	} {
		if got := len(glued(parse(text))); got != want {
			t.Errorf("%s: %d faults, want %d", text, got, want)
		}
	}
}
