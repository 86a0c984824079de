package eventgateway

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestLinterEnforcesTheTableOfPackages holds three things together: the packages that
// there are, the table of docs/architecture.md that says which of them may import
// which, and the depguard rules of .golangci.yml that enforce it.
func TestLinterEnforcesTheTableOfPackages(t *testing.T) {
	t.Parallel()
	table, rules := packageTable(t), depguardRules(t)
	require.Equal(t, packagesWithCode(t), sortedKeys(table), "docs/architecture.md has a row for each package")
	for name, may := range table {
		rule, ok := rules[name]
		require.True(t, ok, "%s has no depguard rule of its name in .golangci.yml", name)
		require.Equal(t, []string{"**/" + folderOf(name) + "/*.go", "!$test"}, rule.Files, name)
		require.Equal(t, "lax", rule.ListMode, name)
		require.Equal(t, may, rule.permission(t), "%s: .golangci.yml and docs/architecture.md differ", name)
	}
}

const modulePrefix = "eventgateway/internal/"

// permission is what a package may import of internal/: only the packages named, or,
// if allBut, all except those named.
type permission struct {
	allBut   bool
	packages []string // sorted
}

var tableRow = regexp.MustCompile("(?m)^\\| `((?:internal|cmd)/[a-z/]+)` \\|[^|\n]*\\| ([^|\n]*) \\|$")

// packageTable reads the table, by the packages' paths without "internal/".
func packageTable(t *testing.T) map[string]permission {
	t.Helper()
	text, err := os.ReadFile("docs/architecture.md")
	require.NoError(t, err)
	table := map[string]permission{}
	for _, row := range tableRow.FindAllStringSubmatch(string(text), -1) {
		list, allBut := strings.CutPrefix(row[2], "all but ")
		may := permission{allBut: allBut}
		if list != "none" {
			may.packages = strings.Split(list, ", ")
			slices.Sort(may.packages)
		}
		table[strings.TrimPrefix(row[1], "internal/")] = may
	}
	return table
}

type depguardRule struct {
	Files    []string
	ListMode string `yaml:"list-mode"`
	Allow    []string
	Deny     []struct{ Pkg string }
}

// permission reads a rule back. Names end in "$": a package's own subfolders have
// rows of their own.
func (r depguardRule) permission(t *testing.T) permission {
	t.Helper()
	may := permission{allBut: len(r.Deny) != 1 || r.Deny[0].Pkg != strings.TrimSuffix(modulePrefix, "/")}
	listed := r.Allow
	if may.allBut {
		require.Empty(t, r.Allow)
		for _, d := range r.Deny {
			listed = append(listed, d.Pkg)
		}
	}
	for _, pkg := range listed {
		name, inside := strings.CutPrefix(pkg, modulePrefix)
		name, exact := strings.CutSuffix(name, "$")
		require.True(t, inside && exact, pkg)
		may.packages = append(may.packages, name)
	}
	slices.Sort(may.packages)
	return may
}

func depguardRules(t *testing.T) map[string]depguardRule {
	t.Helper()
	text, err := os.ReadFile(".golangci.yml")
	require.NoError(t, err)
	var config struct {
		Linters struct {
			Settings struct {
				Depguard struct{ Rules map[string]depguardRule }
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &config))
	return config.Linters.Settings.Depguard.Rules
}

// packagesWithCode are the folders below cmd and internal that have Go files.
func packagesWithCode(t *testing.T) []string {
	t.Helper()
	found := map[string]bool{}
	for _, top := range []string{"cmd", "internal"} {
		require.NoError(t, filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				found[strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "internal/")] = true
			}
			return err
		}))
	}
	return sortedKeys(found)
}

func folderOf(name string) string {
	if strings.HasPrefix(name, "cmd/") {
		return name
	}
	return "internal/" + name
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
