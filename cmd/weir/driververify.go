package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/internal/authenticode"
)

func newDriverVerify() *cobra.Command {
	var ca string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Verify the signatures of WinDivert64.sys, on any system",
		Long: `Verifies the Authenticode signatures of a Windows driver or program: that the digest they sign is the file's, and its page hashes
where there are any; their timestamps; and their certificates up to an anchor. A certificate that has expired since is good when a
timestamp says that the signature was made before. All signatures must hold, nested ones too.

The anchors are three roots that the signers of WinDivert's releases chain to: Microsoft Root Certificate Authority 2010, AAA
Certificate Services and USERTrust RSA (Sectigo's). --ca names others instead, as for a driver that a test authority signed. On
Windows, without --ca, WinVerifyTrust is asked too, and decides whom to trust. Nobody is asked over the network, so a certificate
that was revoked is not noticed.

The exit status is 0 if the file is good, 1 if it is not.`,
		Example: `  weir driver verify WinDivert64.sys
  weir driver verify --ca test-ca.pem mine.sys
  weir driver verify WinDivert64.sys --json | jq '.signatures[].signer.serial'`,
		Args: take(1, "the file"),
		RunE: does(func(cmd *cobra.Command, args []string) error {
			var o authenticode.Options
			if ca != "" {
				text, err := os.ReadFile(ca)
				if err != nil {
					return wrong(err)
				}
				if o.Anchors, err = authenticode.ReadAnchors(ca, text); err != nil {
					return wrong(err)
				}
			}
			report, err := authenticode.File(args[0], o)
			if report == nil {
				return err
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), report); err != nil {
					return err
				}
			} else if err := writeSignatures(cmd.OutOrStdout(), report); err != nil {
				return err
			}
			if err != nil {
				return errTold
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&ca, "ca", "", "PEM `file` with the anchors to trust, instead of those built in")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// writeSignatures writes a report as text, the verdict last.
func writeSignatures(w io.Writer, r *authenticode.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d bytes, sha256 %s\n", r.Path, r.Size, r.SHA256)
	microsoft := false
	for i := range r.Signatures {
		s := &r.Signatures[i]
		nested := ""
		if s.Nested {
			nested = ", nested in the first"
		}
		fmt.Fprintf(&b, "\nsignature %d%s\n", i+1, nested)
		writeSignature(&b, s, r.Anchors)
		microsoft = microsoft || s.Signer != nil && s.Signer.Microsoft && s.Problem == ""
	}
	if r.System != "" {
		fmt.Fprintf(&b, "\nWindows (WinVerifyTrust): %s\n", r.System)
	}
	switch {
	case !r.Valid:
		fmt.Fprintf(&b, "\nREFUSED: %s\nDo not load this file; get it again from where it is published.\n", strings.ReplaceAll(r.Problem, "\n", "\n         "))
	case microsoft:
		b.WriteString("\nGood: nothing was changed since it was signed, and Microsoft's hardware publisher is among the signers, which Windows wants of a driver.\n")
	default:
		b.WriteString("\nGood: nothing was changed since it was signed. Microsoft's hardware publisher is not among the signers: 64-bit Windows 10 and later\n" +
			"refuse it as a driver unless test signing is on.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeSignature(b *strings.Builder, s *authenticode.Signature, anchors string) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(b, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	if s.Signer != nil {
		line("signer", "%s", s.Signer.Name)
		writeSigner(line, s.Signer, anchors)
	}
	if s.Program != "" {
		line("program", "%s", s.Program)
	}
	if s.Digest != "" {
		line("digest", "%s %s", s.Algorithm, s.Digest)
		pages := "none are signed"
		if s.PageHashes > 0 {
			pages = fmt.Sprint(s.PageHashes)
		}
		line("pages", "%s", pages)
	}
	if t := s.Timestamp; t != nil {
		line("timestamp", "%s, %s by %s", t.Time.Format(time.RFC3339), t.Kind, t.Signer.Name)
		writeSigner(line, &t.Signer, anchors)
	} else {
		line("timestamp", "none")
	}
	verdict := "good"
	if s.Problem != "" {
		verdict = s.Problem
	}
	line("verdict", "%s", verdict)
}

func writeSigner(line func(name, format string, args ...any), s *authenticode.Signer, anchors string) {
	line("  serial", "%s", s.Serial)
	line("  valid", "%s to %s", s.NotBefore.Format(time.DateOnly), s.NotAfter.Format(time.DateOnly))
	if len(s.Chain) > 0 {
		line("  chain", "%s (%s)", strings.Join(s.Chain, " < "), anchors)
	} else {
		line("  issuer", "%s", s.Issuer)
	}
}
