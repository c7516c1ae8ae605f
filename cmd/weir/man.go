package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "man [COMMAND…]",
		GroupID: groupProgram,
		Short:   "Print a manual page, or write all of them",
		Long: `Prints the manual page of a command, or of weir itself, in the form that man reads. With --dir it writes the pages of all commands,
weir.1, weir-run.1 and so on, into a directory: /usr/local/share/man/man1 is where man finds them. The pages are made of what
--help prints, so they are of this very program.`,
		Example: "  weir man run | man -l -\n  weir man filter compile > weir-filter-compile.1\n  sudo weir man --dir /usr/local/share/man/man1",
		Args:    cobra.ArbitraryArgs,
		RunE: does(func(cmd *cobra.Command, args []string) error {
			root := manRoot()
			if dir != "" {
				if len(args) > 0 {
					return wrongf("--dir writes all pages; leave out %s", strings.Join(args, " "))
				}
				return writePages(root, dir)
			}
			found, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return wrong(errors.Join(fmt.Errorf("there is no command %q", strings.Join(args, " ")), err))
			}
			return doc.GenMan(found, manHeader(), cmd.OutOrStdout())
		}),
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write the pages of all commands into this `directory`, which must be there")
	return cmd
}

// manHeader says where a page belongs: section 1, user commands. The date is that of the program's revision, so that the same
// program writes the same pages whenever it is asked; where it is not known, today's, or that of SOURCE_DATE_EPOCH.
func manHeader() *doc.GenManHeader {
	info, _ := debug.ReadBuildInfo()
	v := versionOf(info)
	header := &doc.GenManHeader{Section: "1", Source: "Weir " + v.Version, Manual: "Weir manual"}
	if date, err := time.Parse(time.RFC3339, v.Time); err == nil {
		header.Date = &date
	}
	return header
}

// manRoot is the command tree as pages show it.
func manRoot() *cobra.Command {
	root := newRoot()
	root.InitDefaultCompletionCmd()
	root.DisableAutoGenTag = true
	markdownHelp(root)
	return root
}

// markdownHelp makes the help texts what package doc takes them for.
func markdownHelp(cmd *cobra.Command) {
	if cmd.Parent() == nil || cmd.Parent().Name() != "completion" { // cobra's own texts are Markdown
		cmd.Long = markdown(cmd.Long)
	}
	for _, sub := range cmd.Commands() {
		markdownHelp(sub)
	}
}

var markdownSigns = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "<", `\<`, "[", `\[`, "]", `\]`, "#", `\#`, "|", `\|`)

// markdown writes plain text so that Markdown shows it unchanged; indented lines are shown as they stand.
func markdown(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "  ") {
			lines[i] = "  " + line
		} else {
			lines[i] = markdownSigns.Replace(line)
		}
	}
	return strings.Join(lines, "\n")
}

// writePages writes the page of every command.
func writePages(root *cobra.Command, dir string) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no directory; make it first", dir)
	}
	return doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{Header: manHeader(), Path: filepath.Clean(dir), CommandSeparator: "-"})
}
