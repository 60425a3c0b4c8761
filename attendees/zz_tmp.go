package attendees

import ("time";"fmt";"strings")

func DateOf(t time.Time) Date { y,m,d := t.Date(); return Date{y,m,d} }
func (d Date) t() time.Time { return time.Date(d.Year,d.Month,d.Day,0,0,0,0,time.UTC) }
func (d Date) String() string { return d.t().Format("2006-01-02") }
func (d Date) Before(o Date) bool { return d.t().Before(o.t()) }
func (d Date) AddDays(n int) Date { return DateOf(d.t().AddDate(0,0,n)) }
func ParseDate(s string) (Date, error) { t, err := time.Parse("2006-01-02", s); return DateOf(t), err }
func BuiltIn() Policy { return Policy{Purposes: []Purpose{
 {Name: ParticipationAgreement, Basis:"b", Fields: []Field{Name,Email,Ticket,AgreementVersion,AgreedAt,Attended}, Sealed:true},
 {Name: Forum, Basis:"b", Fields: []Field{Name,Email,Affiliation,Forums,Answers}}}, GraceDays:30, UnmatchedDays:14} }
func ParsePolicy(b []byte, f string) (Policy, error) { return Policy{}, fmt.Errorf("%s:1: no", f) }
func (p *Policy) RuleNamed(n string) (Rule, bool) { return Rule{Name:n}, n == "de-ao-6" }
func (p *Policy) RuleNames() []string { return []string{"de-ao-6"} }
func (p *Policy) PurposeNames() (ns []PurposeName) { for _, u := range p.Purposes { ns = append(ns, u.Name) }; return }
func (p *Policy) DroppedFields() []Field { return []Field{Affiliation, Forums, Answers} }
type Schedule struct { EndsOn, BlockOn, DeleteOn Date; Rule Rule }
func (p *Policy) Schedule(e Event, first Date) (Schedule, error) {
 z, err := time.LoadLocation(e.Zone); if err != nil { z = time.UTC }
 end := e.End; if end.IsZero() { end = e.Start.AddDate(0,0,1) }
 d := DateOf(end.In(z))
 return Schedule{d, d.AddDays(30), Date{d.Year+7,1,1}, Rule{Name:"de-ao-6"}}, nil
}
func (p *Policy) Minimise(r Registration, links FieldLinks) Minimised {
 a := Attendee{ID:r.ID, Event:r.Event, Name:r.Name, Email:r.Email, Ticket:r.Ticket, SourceStatus:r.Status, Attended:r.Attended, Registered:r.Created, Changed:r.Changed, Status: Attending}
 if r.Cancelled { a.Status = Cancelled }; if r.Refunded { a.Status = Refunded }
 for _, l := range links { ans := r.Answers[l.Question]; if len(ans)==0 {continue}
  switch l.Field { case Agreed: a.AgreedAt = r.Created; case Affiliation: a.Affiliation = ans[0]; case Forums: a.Forums = ans; case AgreementVersion: a.AgreementVersion = ans[0].Reveal() } }
 return Minimised{a}
}
func (p *Policy) MinimiseResponse(r Response, links FieldLinks) MinimisedResponse {
 a := FormAnswers{Form:r.Form, ID:r.ID, Attendee:r.Attendee, Submitted:r.Submitted}
 for _, l := range links { ans := r.Answers[l.Question]; if len(ans)==0 {continue}
  switch l.Field { case Agreed: if strings.ToLower(ans[0].Reveal())=="true" { a.AgreedAt = r.Submitted }; case Name: a.Name=ans[0]; case Email: a.Email=ans[0]; case Affiliation: a.Affiliation = ans[0]; case Forums: a.Forums = ans; case AgreementVersion: a.AgreementVersion = ans[0].Reveal() } }
 return MinimisedResponse{a}
}
