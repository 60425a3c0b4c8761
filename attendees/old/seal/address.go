package seal

import (
	"strings"

	"golang.org/x/net/idna"
)

// Normalise gives the one spelling of an e-mail address under which it is indexed
// and written to: without surrounding space, in ASCII lower case, its domain as
// A-label (RFC 5890). Nothing else is folded, no dots and no plus tags: only the
// mailbox's own provider knows which of its addresses are one (RFC 5321 sec. 2.3.11).
//
// What is no address comes back trimmed and in lower case; a domain that IDNA
// refuses stays as it is. It never fails: an odd address is still somebody's.
func Normalise(address string) string {
	address = lower(strings.TrimSpace(address))
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	// Punycode alone, no mapping: UTS 46 would fold look-alikes into ASCII, and
	// then one mailbox would open another's records.
	domain, err := idna.Punycode.ToASCII(address[at+1:])
	if err != nil {
		return address
	}
	return address[:at+1] + lower(domain)
}

// lower folds A to Z alone: strings.ToLower would turn İ into i̇ and the Kelvin sign
// into k, and so one address into another.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
