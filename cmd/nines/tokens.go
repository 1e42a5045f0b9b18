package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"

	"nines/internal/secret"
)

// readToken reads a token from a file: its first line, which must not be empty.
func readToken(path string) (secret.String, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return secret.String{}, inputError{fmt.Errorf("reading the token: %w", err)}
	}
	line, _, _ := strings.Cut(string(data), "\n")
	token := strings.TrimSpace(line)
	if token == "" {
		return secret.String{}, inputf("reading the token: the first line of %s is empty", path)
	}
	return secret.New(token), nil
}

// newSecret returns a secret that nobody has seen before.
func newSecret() secret.String { return secret.New(rand.Text()) }
