package seal

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Normalise gives the one spelling of an e-mail address under which it is indexed and
// written to: without surrounding space and without characters that nobody sees, composed
// (NFC), in ASCII lower case, its domain in lower case and as A-label (RFC 5890). Nothing
// else is folded, no dots and no plus tags: only the mailbox's provider knows which of its
// addresses are one (RFC 5321 sec. 2.3.11).
//
// It never fails: an odd address is still somebody's. A domain that IDNA refuses stays as
// it is.
func Normalise(address string) string {
	if plain(address) {
		return lower(address)
	}
	address = strings.TrimSpace(norm.NFC.String(strings.Map(seen, address)))
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return lower(address)
	}
	// Punycode alone, no mapping: UTS 46 would fold look-alikes into ASCII, and then one
	// mailbox would open another's records.
	domain := strings.Map(lowerLetter, address[at+1:])
	if label, err := idna.Punycode.ToASCII(domain); err == nil {
		domain = label
	}
	return lower(address[:at+1]) + domain
}

// plain tells that an address needs nothing but lower case, as nearly all do.
func plain(address string) bool {
	for i := range len(address) {
		if c := address[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// seen drops format characters (zero-width space and joiners, BOM, soft hyphen, marks of
// direction), which two spellings of one address may differ by and nobody sees.
func seen(r rune) rune {
	if unicode.Is(unicode.Cf, r) {
		return -1
	}
	return r
}

// lowerLetter is a domain's letter in lower case. None becomes an ASCII letter that was not
// one: İ is no I.
func lowerLetter(r rune) rune {
	if l := unicode.ToLower(r); r < unicode.MaxASCII || l > unicode.MaxASCII {
		return l
	}
	return r
}

// lower folds A to Z alone, so that no other letter of a mailbox is folded into one of them.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// FoldName gives the spelling by which two names are compared: compatibility-composed,
// without case, invisible characters or repeated spaces.
func FoldName(name string) string {
	name = strings.Map(seen, name)
	folded := strings.ToLower(cases.Fold().String(norm.NFKC.String(name))) // x/text only swaps the cases of Cherokee
	return strings.Join(strings.Fields(norm.NFKC.String(folded)), " ")
}
