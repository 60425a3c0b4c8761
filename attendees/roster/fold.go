package roster

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold gives the spelling in which texts are searched and sorted: without case (Unicode's full
// case folding: final sigma is sigma, ß is ss), decomposed, without accents. İ and ı are i: a
// keyboard without them has no other.
func Fold(s string) string { return string(appendFold(nil, s)) }

func appendFold(b []byte, s string) []byte {
	from := len(b)
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return append(b[:from], foldAny(s)...)
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

func foldAny(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r):
			return -1
		case r == 'ı':
			return 'i'
		}
		return r
	}, norm.NFKD.String(strings.ToLower(cases.Fold().String(norm.NFKD.String(s))))) // x/text only swaps the cases of Cherokee
}
