package policy

import (
	"strings"
	"unicode/utf8"
)

// Bounds of the search for the word that was meant.
const (
	wordMax  = 64  // bytes; longer words are like nothing
	knownMax = 512 // candidates
)

// remedy says which of the known words was meant, or which there are.
func remedy(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return "did you mean " + quote(near) + "?"
	}
	if len(known) == 0 {
		return "none is defined"
	}
	return "want " + oneOf(known)
}

// oneOf lists words for a sentence: a, b or c.
func oneOf(words []string) string {
	const most = 20
	if len(words) > most {
		return strings.Join(words[:most], ", ") + ", …"
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// nearest returns the known word with the fewest typing errors between it and word: one for every three letters may be wrong. The
// result is empty if there is none so near.
func nearest(word string, known []string) string {
	if len(word) > wordMax {
		return ""
	}
	best, bestAt := "", utf8.RuneCountInString(word)/3+1
	for _, k := range known[:min(len(known), knownMax)] {
		if len(k) > wordMax {
			continue
		}
		if n := typos([]rune(strings.ToLower(word)), []rune(strings.ToLower(k))); n < bestAt {
			best, bestAt = k, n
		}
	}
	return best
}

// typos counts the letters to insert, delete, replace, or exchange with their neighbour to make b of a.
func typos(a, b []rune) int {
	var rows [3][wordMax + 1]int
	before, above, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		above[j] = j
	}
	for i := range a {
		row[0] = i + 1
		for j := range b {
			replace := above[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, above[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
