package attendees

// Upstream is what becomes of the responses that a form still holds at its source, once
// their copies here have run their time.
type Upstream string

// What a policy may say of a form.
const (
	// UpstreamAsk asks staff, with how many there are.
	UpstreamAsk Upstream = "ask"
	// UpstreamWhenDue deletes them there on the day they are deleted here.
	UpstreamWhenDue Upstream = "when_due"
	// UpstreamWhenBlocked deletes them there as soon as they are sealed here: a sealed
	// record beside a plain one protects nobody.
	UpstreamWhenBlocked Upstream = "when_blocked"
	// UpstreamNever leaves them to those who run the form.
	UpstreamNever Upstream = "never"
)

// Deletes tells whether they are deleted there without asking.
func (u Upstream) Deletes() bool { return u == UpstreamWhenDue || u == UpstreamWhenBlocked }

// UpstreamOf is what becomes of a form's responses: what is said of the form, or else of
// all. Where nothing is said staff are asked.
func (p *Policy) UpstreamOf(form FormID) Upstream {
	if u := p.FormUpstream[form]; u != "" {
		return u
	}
	if p.Upstream != "" {
		return p.Upstream
	}
	return UpstreamAsk
}
