package web

import (
	"bytes"
	_ "embed"
	"net/http"
	"strings"
)

//go:embed river.css
var riverLook []byte

//go:embed river.js
var riverScript []byte

// riverMends go into River's own pages: what would shut some people out of them is mended,
// and who has no scripts is led back to what tells of the jobs without.
var riverMends = strings.NewReplacer(
	`</head>`, `<link rel="stylesheet" href="/river.css"><script type="module" src="/river.js"></script></head>`,
	`<div id="root"`, `<noscript><p>River's own pages need scripts. <a href="`+paths{}.Operations()+`">Operations</a> tells of the jobs without.</p></noscript><div id="root"`,
)

func (s *Site) jobsRoutes() []route {
	if s.Jobs == nil {
		return nil
	}
	return []route{
		{pattern: "GET /river.css", bare: true, do: asset("text/css; charset=utf-8", riverLook)},
		{pattern: "GET /river.js", bare: true, do: asset("text/javascript; charset=utf-8", riverScript)},
		{pattern: "/operations/jobs/", may: operators, do: func(w http.ResponseWriter, r *http.Request) error {
			r = r.Clone(r.Context())
			r.Header.Del("Range") // of a page whose length is to change
			page := &riverPage{ResponseWriter: w}
			s.Jobs.ServeHTTP(page, r)
			page.end()
			return nil
		}},
	}
}

// riverPage holds a page of River's back until it is whole, and lets all else through.
type riverPage struct {
	http.ResponseWriter
	began, holds bool
	status       int
	held         bytes.Buffer
}

// WriteHeader sees what comes.
func (p *riverPage) WriteHeader(status int) {
	p.began, p.status = true, status
	if p.holds = strings.HasPrefix(p.Header().Get("Content-Type"), "text/html"); !p.holds {
		p.ResponseWriter.WriteHeader(status)
	}
}

// Write keeps a page and sends all else.
func (p *riverPage) Write(b []byte) (int, error) {
	if !p.began {
		p.WriteHeader(http.StatusOK)
	}
	if p.holds {
		return p.held.Write(b)
	}
	return p.ResponseWriter.Write(b)
}

func (p *riverPage) end() {
	if !p.holds {
		return
	}
	p.Header().Del("Content-Length")
	p.ResponseWriter.WriteHeader(p.status)
	_, _ = riverMends.WriteString(p.ResponseWriter, p.held.String())
}
