package main

import "github.com/spf13/cobra"

// What the shell offers for arguments and flags. The scripts that ask are cobra's: weir completion bash|zsh|fish|powershell.

// captureEndings are those of files that -r reads.
var captureEndings = []string{"pcap", "pcapng", "cap", "gz"}

// completePolicy offers policy files for the first argument, and nothing behind it.
func completePolicy(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// complete has the shell offer words for a flag.
func complete(cmd *cobra.Command, flag string, words []string) {
	completeWith(cmd, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeFiles has it offer files with these endings.
func completeFiles(cmd *cobra.Command, flag string, endings ...string) {
	completeWith(cmd, flag, cobra.FixedCompletions(endings, cobra.ShellCompDirectiveFilterFileExt))
}

// completeDirs has it offer directories.
func completeDirs(cmd *cobra.Command, flag string) {
	completeWith(cmd, flag, cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
}

func completeWith(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // there is no such flag
	}
}
