package notifier

import (
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/text/unicode/norm"
)

// The alphabets of 3GPP TS 23.038 (GSM 03.38), sections 6.2.1 and 6.2.1.1. A
// character of the extension takes two septets.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "\f^{}\\[~]|€"
)

// septets returns how many septets the rune takes in GSM-7; 0: it has none.
func septets(r rune) int {
	switch {
	case strings.ContainsRune(gsmBasic, r):
		return 1
	case strings.ContainsRune(gsmExtension, r):
		return 2
	}
	return 0
}

// Segments returns how many SMS segments the text takes, and whether it is
// GSM-7 (160 septets, or 153 in each of several) rather than UCS-2 (70 and 67
// UTF-16 units). What takes two units is never split between segments.
func Segments(text string) (n int, gsm7 bool) {
	gsm7 = true
	for _, r := range text {
		gsm7 = gsm7 && septets(r) > 0
	}
	single, each, size := 160, 153, septets
	if !gsm7 {
		single, each, size = 70, 67, utf16.RuneLen
	}
	total, used := 0, 0
	n = 1
	for _, r := range text {
		s := max(size(r), 1) // an invalid rune is sent as U+FFFD
		total += s
		if used += s; used > each {
			n, used = n+1, s
		}
	}
	if total <= single {
		n = 1
	}
	return n, gsm7
}

// lookalikes are what takes the place of characters that GSM-7 lacks and that
// do not come apart into a letter and a mark.
var lookalikes = strings.NewReplacer(
	"‘", "'", "’", "'", "‚", "'", "‛", "'", "′", "'", "`", "'", "´", "'",
	"“", `"`, "”", `"`, "„", `"`, "‟", `"`, "″", `"`, "«", `"`, "»", `"`, "‹", "'", "›", "'",
	"‐", "-", "‑", "-", "‒", "-", "–", "-", "—", "-", "―", "-", "−", "-",
	"…", "...", "•", "-", "·", "-", "×", "x", "→", "->", "←", "<-", "≤", "<=", "≥", ">=", "≠", "!=",
	"ł", "l", "Ł", "L", "đ", "d", "Đ", "D", "ħ", "h", "Ħ", "H", "ı", "i", "ŋ", "n", "ð", "d", "Ð", "D",
	"þ", "th", "Þ", "Th", "œ", "oe", "Œ", "OE", "ß", "ß", "™", "(TM)", "©", "(c)", "®", "(R)", "°", " deg",
	"\t", " ", "\r", " ", "\n", " ", "\u00a0", " ", "\u2009", " ", "\u202f", " ",
	"\u00ad", "", "\u200b", "", "\u200d", "", "\u2060", "", "\ufeff", "", "\ufe0f", "",
)

// toGSM7 returns the text in characters of GSM-7, with close ones in the place
// of those that it lacks. Text that has no close ones, such as Greek, Cyrillic
// or Chinese, is returned as it is, for UCS-2.
func toGSM7(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	var b strings.Builder
	for _, r := range norm.NFC.String(text) {
		s := string(r)
		if septets(r) == 0 {
			s = lookalikes.Replace(s)
			if s == string(r) {
				s = unmarked(s)
			}
		}
		for _, r := range s {
			if septets(r) == 0 {
				return text
			}
		}
		b.WriteString(s)
	}
	return b.String()
}

// unmarked takes the marks off a letter: "ż" becomes "z".
func unmarked(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(s))
}
