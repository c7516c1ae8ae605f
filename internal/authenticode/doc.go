// Package authenticode judges the signatures of a Windows driver or program on every platform: the digest of the image, its page
// hashes, the signatures inside (nested ones too), their timestamps, and the chains to anchors that are built in (anchors.pem) or
// given. It is written over the standard library alone, see docs/adr/0013.
//
// What it cannot know is revocation, which needs a network, and whether the kernel of a given Windows takes the signature; on
// Windows WinVerifyTrust is asked too and has the last word. Everything read is untrusted: a file of any content gives a report
// or an error that says which part is wrong.
package authenticode
