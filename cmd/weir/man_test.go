package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// groff shows a page as man does: without hyphens, and with lines so long that words stay together.
func groff(t *testing.T, page string) string {
	t.Helper()
	if _, err := exec.LookPath("groff"); err != nil {
		required(t, "groff is needed to look at manual pages: %v; install Debian's package groff-base", err)
	}
	cmd := exec.Command("groff", "-man", "-Tutf8", "-Kutf8", "-P-c", "-P-b", "-P-u", "-rHY=0", "-rLL=2000n", "-ww")
	cmd.Stdin = strings.NewReader(page)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Errorf("groff: %v %s", err, complaints.String())
	}
	return string(out)
}

// words are those of a text with the signs that a terminal may show otherwise made alike.
func words(text string) string {
	text = strings.NewReplacer("‐", "-", "−", "-", "’", "'", "‘", "'", "“", `"`, "”", `"`).Replace(text)
	return strings.Join(strings.Fields(text), " ")
}

// Every command has a page, which shows without a complaint all that its help says, and example lines as they are typed.
func TestManualPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000") // two pages are not of two months
	dir := t.TempDir()
	if o := weir(t, "", "man", "--dir", dir); o.status != exitDone || o.out+o.err != "" {
		t.Fatalf("%+v", o)
	}
	for _, path := range commands(newRoot(), nil) {
		name := strings.Join(append([]string{"weir"}, path...), "-")
		page, err := os.ReadFile(filepath.Join(dir, name+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		if o := weir(t, "", append([]string{"man"}, path...)...); o.out != string(page) {
			t.Errorf("man %s is not the page in the directory", strings.Join(path, " "))
		}
		cmd, _, _ := newRoot().Find(path)
		shown := groff(t, string(page))
		for _, paragraph := range strings.Split(cmd.Short+"\n\n"+cmd.Long, "\n\n") {
			if !strings.Contains(words(shown), words(paragraph)) {
				t.Errorf("%s does not show\n%s\nbut\n%s", name, paragraph, shown)
			}
		}
		for _, line := range strings.Split(cmd.Example, "\n") {
			if !strings.Contains(words(shown), words(line)) {
				t.Errorf("%s does not show the example %s", name, line)
			}
		}
	}
}

func TestManRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"man rum": `there is no command "rum"`, "man filter evaluate": "there is no command", "man run --dir .": "--dir writes all pages",
		"man --dir nothing/here": "is no directory; make it first",
	} {
		if o := weir(t, "", strings.Fields(args)...); o.status == exitDone || o.out != "" || !strings.Contains(o.err, want) {
			t.Errorf("%s: %+v", args, o)
		}
	}
}
