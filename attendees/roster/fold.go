package roster

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold gives the spelling in which texts are searched and sorted: without case (Unicode's full
// case folding: final sigma is sigma, ß is ss, dotted I is i), decomposed, without accents.
func Fold(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			s = norm.NFKD.String(cases.Fold().String(norm.NFKD.String(s)))
			return strings.Map(func(r rune) rune {
				if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r) {
					return -1
				}
				return r
			}, s)
		}
	}
	return strings.ToLower(s)
}
