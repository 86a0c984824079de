package eventgateway

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	// proofPlace is a package in the column of tests; the names behind it are in it.
	proofPlace = regexp.MustCompile("`((?:internal|test|cmd)/[a-z0-9/_]+)`")
	proofTest  = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)
	proofFile  = regexp.MustCompile(`\b[a-z0-9_]+_test\.go\b`)
	proofMake  = regexp.MustCompile("`make ([a-z-]+)`")
)

// TestThreatsAreShownByTests: each row of the table in docs/security.md names at least one
// test, and all that it names exist, in the packages that it names.
func TestThreatsAreShownByTests(t *testing.T) {
	t.Parallel()
	_, text, found := strings.Cut(readFile(t, "docs/security.md"), "\n| threat | what stops it | test |\n")
	require.True(t, found, "docs/security.md has the table")
	rows, _, _ := strings.Cut(text, "\n\n")
	all := strings.Split(rows, "\n")[1:] // below the line that divides head and rows
	require.Greater(t, len(all), 40)
	makefile := readFile(t, "Makefile")
	for _, row := range all {
		cells := strings.Split(strings.Trim(row, "|"), "|")
		require.Len(t, cells, 3, row)
		require.Positive(t, requireProofs(t, cells[2], makefile), "no test shows: %s", row)
	}
}

// requireProofs checks one cell, and returns how many tests it names.
func requireProofs(t *testing.T, cell, makefile string) (n int) {
	t.Helper()
	places := proofPlace.FindAllStringSubmatchIndex(cell, -1)
	for i, at := range places {
		folder, end := cell[at[2]:at[3]], len(cell)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		behind := cell[at[1]:end]
		tests := testsIn(t, folder)
		for _, name := range proofTest.FindAllString(behind, -1) {
			n++
			require.True(t, slices.Contains(tests, name), "docs/security.md names %s, which %s does not have", name, folder)
		}
		for _, name := range proofFile.FindAllString(behind, -1) {
			n++
			require.FileExists(t, filepath.Join(folder, name))
		}
	}
	for _, target := range proofMake.FindAllStringSubmatch(cell, -1) {
		n++
		require.Contains(t, makefile, "\n"+target[1]+":", "docs/security.md names make %s", target[1])
	}
	return n
}

var testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

func testsIn(t *testing.T, folder string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		for _, match := range testFunction.FindAllStringSubmatch(readFile(t, file), -1) {
			names = append(names, match[1])
		}
	}
	return names
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}
