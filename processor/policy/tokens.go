package policy

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

// syntaxError stops reading: what follows a broken line cannot be told apart.
type syntaxError struct {
	line, column int
	msg          string
}

func (e *syntaxError) Error() string { return e.msg }

func syntax(t *token.Token, format string, args ...any) error {
	return &syntaxError{t.Position.Line, t.Position.Column, fmt.Sprintf(format, args...)}
}

// refused are the tokens of YAML that are not part of the format, and what to do instead.
var refused = map[token.Type]string{
	token.AnchorType:     "anchors are not part of the policy format; write the value out, or quote a text that begins with \"&\"",
	token.AliasType:      "aliases are not part of the policy format; write the value out, or quote a text that begins with \"*\"",
	token.TagType:        "tags are not part of the policy format; quote a text that begins with \"!\"",
	token.MergeKeyType:   "merge keys are not part of the policy format; write the keys out",
	token.DirectiveType:  "directives are not part of the policy format; quote a text that begins with \"%\"",
	token.MappingKeyType: "\"? key\" is not part of the policy format; write \"key: value\"",
}

// tokenize splits the text, without its comments. Whatever the scanner does, it ends: each call must take a character.
func tokenize(src string) (tokens []*token.Token, err error) {
	defer func() {
		if r := recover(); r != nil {
			line := 1
			if len(tokens) > 0 {
				line = tokens[len(tokens)-1].Position.Line
			}
			err = &syntaxError{line, 1, fmt.Sprintf("the YAML scanner fails on what follows (%v); write it more plainly", r)}
		}
	}()
	var s scanner.Scanner
	s.Init(src)
	for range len(src) + 1 {
		some, scanErr := s.Scan()
		for _, t := range some {
			switch t.Type {
			case token.CommentType, token.SpaceType:
				continue
			case token.InvalidType:
				return nil, syntax(t, "%s", invalid(t))
			}
			if why := refused[t.Type]; why != "" {
				return nil, syntax(t, "%s", why)
			}
			tokens = append(tokens, t)
		}
		if errors.Is(scanErr, io.EOF) {
			return tokens, nil
		}
		if scanErr != nil {
			break
		}
	}
	return nil, &syntaxError{1, 1, "the YAML scanner cannot read this file; write it more plainly"}
}

// invalid says what the scanner found wrong, and what to do.
func invalid(t *token.Token) string {
	switch {
	case strings.Contains(t.Error, "reserved character"):
		return t.Error + "; quote the text"
	case strings.Contains(t.Error, "could not find end character"):
		return t.Error + "; end the quotation"
	case t.Error == "":
		return "not YAML"
	}
	return t.Error
}
