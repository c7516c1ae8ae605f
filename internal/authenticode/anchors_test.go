package authenticode

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"testing"
)

func hasAnchor(t *testing.T, fingerprint string) bool {
	t.Helper()
	for rest := builtIn; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return false
		}
		if sum := sha256.Sum256(b.Bytes); hex.EncodeToString(sum[:]) == fingerprint {
			return true
		}
	}
}

// What a file says cannot be orders to a terminal.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"成都密思听科技有限公司": "成都密思听科技有限公司", "\x1b[2Jx\n": "\ufffd[2Jx\ufffd", "\xff": "\ufffd", "": "",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := []rune(printable(string(make([]byte, 1000)))); len(got) != maxName+1 {
		t.Errorf("%d characters", len(got))
	}
}
