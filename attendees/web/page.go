package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed pages/*.html
var pageFiles embed.FS

// frame is what the layout shows around a page.
type frame struct {
	Title  string
	Nav    []navItem
	Signed bool // somebody is signed in
	Page   any
}

type navItem struct {
	Title, Path string
	Current     bool
}

// parsePages reads a folder's pages: each by itself, with the layout and the parts that
// several share. Those of pages serve any folder; its own come after them.
func parsePages(files fs.FS, folder string) (map[string]*template.Template, error) {
	shared, err := template.New("layout.html").Funcs(inPages).ParseFS(pageFiles, "pages/parts.html")
	if err == nil {
		shared, err = shared.ParseFS(files, folder+"/layout.html", folder+"/parts.html")
	}
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	names, err := fs.ReadDir(files, folder)
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	pages := map[string]*template.Template{}
	for _, n := range names {
		if n.Name() == "layout.html" || n.Name() == "parts.html" {
			continue
		}
		page, err := shared.Clone()
		if err == nil {
			page, err = page.ParseFS(files, path.Join(folder, n.Name()))
		}
		if err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
		pages[n.Name()] = page
	}
	return pages, nil
}

// inPages is what templates may call.
var inPages = template.FuncMap{
	"path":   func() paths { return paths{} },
	"date":   longDate,
	"short":  shortDate,
	"at":     atTime,
	"count":  count,
	"plural": plural,
}

// show answers with a page.
func (s *Site) show(w http.ResponseWriter, r *http.Request, name, title string, page any) error {
	return s.showAs(w, r, http.StatusOK, name, title, page)
}

// showAs renders a page to the end before the first byte of it is sent, so that what
// fails half-way is an error's page and not half of a page.
func (s *Site) showAs(w http.ResponseWriter, r *http.Request, status int, name, title string, page any) error {
	a := asked(r)
	f := frame{Title: title, Nav: s.nav(a, r.URL.Path), Signed: len(a.user.Roles) > 0, Page: page}
	var b bytes.Buffer
	if err := s.pages[name].ExecuteTemplate(&b, "layout.html", f); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // who has gone away needs no answer
	return nil
}

// nav is what a user's head offers: the pages that have a word there and let her in.
func (s *Site) nav(a *asking, at string) []navItem {
	var items []navItem
	for _, t := range s.table {
		if t.nav == "" || !t.allows(a.user, "") {
			continue
		}
		p := strings.TrimPrefix(t.pattern, "GET ")
		items = append(items, navItem{t.nav, p, at == p || strings.HasPrefix(at, p+"/")})
	}
	return items
}
