package ecma

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What ECMA 262 says about each expression: strings that it matches, and not.
func TestTranslate(t *testing.T) {
	t.Parallel()
	for expression, c := range map[string]struct{ matches, not []string }{
		`^\s$`:                          {[]string{"\t", "\v", " ", "\u00a0", "\ufeff", "\u2003", "\u2028", "\u3000"}, []string{"a", "\u200b", "\u0085"}},
		`^\S$`:                          {[]string{"a", "\u200b"}, []string{"\v", "\u00a0", "\ufeff"}},
		`^[\s]$`:                        {[]string{"\u00a0"}, []string{"a"}},
		`^[^\s]$`:                       {[]string{"a"}, []string{"\u00a0", "\v"}},
		`^[\S]$`:                        {[]string{"a", "é"}, []string{"\u00a0"}},
		`^[\s\S]$`:                      {[]string{"\n", "a", "😀"}, []string{"", "ab"}},
		`^\d$`:                          {[]string{"7"}, []string{"٧", "a"}},
		`^\D$`:                          {[]string{"٧", "a"}, []string{"7"}},
		`^\w$`:                          {[]string{"a", "_", "7"}, []string{"é", "-"}},
		`^\W$`:                          {[]string{"é", "-"}, []string{"a"}},
		`^[\w-.]+$`:                     {[]string{"a-b.c"}, []string{"a b"}},
		`^.$`:                           {[]string{"a", "\v", "😀"}, []string{"\n", "\r", "\u2028", "\u2029", ""}},
		`^(?s:.)$`:                      {[]string{"\n", "\r"}, []string{""}},
		`^a$`:                           {[]string{"a"}, []string{"a\n", "b\na", "\na"}},
		`a|`:                            {[]string{"a", "b", ""}, nil},
		`^\cA\ca$`:                      {[]string{"\x01\x01"}, []string{"cAca"}},
		`^\x41\u0042$`:                  {[]string{"AB"}, []string{"x41u0042"}},
		`^\u{1F600}$`:                   {[]string{"😀"}, []string{"u"}},
		`^\uD83D\uDE00$`:                {[]string{"😀"}, []string{"\ufffd\ufffd"}},
		`^[\uD83D\uDE00-\uD83D\uDE02]$`: {[]string{"😀", "😁"}, []string{"😃"}},
		`^😀{2}$`:                        {[]string{"😀😀"}, []string{"😀"}},
		`^\0$`:                          {[]string{"\x00"}, []string{"0"}},
		`^[\b]$`:                        {[]string{"\b"}, []string{"b"}},
		`\bfoo\b`:                       {[]string{"a foo."}, []string{"afoo"}},
		`^\t\n\v\f\r$`:                  {[]string{"\t\n\v\f\r"}, nil},
		`^\/\.\-\_\@$`:                  {[]string{"/.-_@"}, nil},
		`^[]$`:                          {nil, []string{"", "]"}},
		`^[^]$`:                         {[]string{"\n", "a"}, []string{""}},
		`^[[]$`:                         {[]string{"["}, []string{"]"}},
		`^[&&a]$`:                       {[]string{"&", "a"}, nil},
		`^{.*}$`:                        {[]string{"{}", "{a}"}, []string{"a"}},
		`^a{,2}$`:                       {[]string{"a{,2}"}, []string{"aa"}},
		`^a]$`:                          {[]string{"a]"}, nil},
		`^(?:(?<y>a)|b(?<y>c))$`:        {[]string{"a", "bc"}, nil},
		`^(?<year>\d{4})$`:              {[]string{"2026"}, []string{"26"}},
		`^(?:a+?|b*?|c??)$`:             {[]string{"aa", "bb", "c", ""}, []string{"ab"}},
		`^a{0002}$`:                     {[]string{"aa"}, []string{"a"}},
		`^(?i:straße|Σ)$`:               {[]string{"STRAßE", "σ", "ς"}, []string{"strasse"}},
		`^\p{Letter}\p{L}$`:             {[]string{"aé"}, []string{"1a"}},
		`^\p{Lu}$`:                      {[]string{"É"}, []string{"é"}},
		`^\p{Uppercase_Letter}$`:        {[]string{"É"}, []string{"é"}},
		`^\p{Script=Greek}\p{sc=Grek}$`: {[]string{"αβ"}, []string{"ab"}},
		`^\p{General_Category=Nd}\p{gc=Decimal_Number}$`: {[]string{"1٧"}, []string{"ab"}},
		`^\P{L}$`:    {[]string{"1"}, []string{"a"}},
		`^[\P{L}a]$`: {[]string{"1", "a"}, []string{"b"}},
		`^[^\P{L}]$`: {[]string{"a"}, []string{"1"}},
		`^\p{Alphabetic}\p{White_Space}\p{ASCII}\p{Any}$`: {[]string{"é a😀"}, []string{"1 a1"}},
	} {
		re2, notes, err := Translate(expression)
		require.NoError(t, err, expression)
		require.Empty(t, notes, expression)
		require.True(t, Valid(expression), expression)
		compiled, err := regexp.Compile(re2)
		require.NoError(t, err, expression)
		for _, s := range c.matches {
			require.True(t, compiled.MatchString(s), "%s (%s) matches %q", expression, re2, s)
		}
		for _, s := range c.not {
			require.False(t, compiled.MatchString(s), "%s (%s) does not match %q", expression, re2, s)
		}
	}
}

// What RE2 cannot express is named, with what to write.
func TestLimits(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string][2]string{
		`.{1,1024}$`:                  {"the repetition {1,1024}", "minLength and maxLength"},
		`^(?:a{100}){11}$`:            {"the repetition", "1000 times"},
		`a{1001,}`:                    {"the repetition {1001,}", "1000 times"},
		`^(?!\s*$).+`:                 {"the look-ahead (?!", `"not": {"pattern": …}`},
		`^(?=.*\d)`:                   {"the look-ahead (?=", `"allOf"`},
		`(?<=a+)b`:                    {"the look-behind (?<=", `"allOf"`},
		`(?<!a)b`:                     {"the look-behind (?<!", `"allOf"`},
		`^(a)\1$`:                     {`the back reference \1`, "write out the alternatives"},
		`(?<q>['"]).*\k<q>`:           {`the back reference \k<q>`, "write out the alternatives"},
		`^(?m:^a$)`:                   {"the modifier m", `(?:^|\n)`},
		`\p{Script_Extensions=Greek}`: {"the property", `\p{Script=Greek}`},
		`\p{Emoji}`:                   {"the property", "class"},
		`\p{ID_Start}`:                {"the property", "class"},
		strings.Repeat("(?:", 999) + "a" + strings.Repeat("){2}", 999): {"", ""},
	} {
		_, _, err := Translate(expression)
		var limit *Limit
		require.ErrorAs(t, err, &limit, "%.80s", expression)
		require.Contains(t, limit.What, want[0], expression)
		require.Contains(t, limit.Advice, want[1], expression)
		require.Contains(t, err.Error(), "RE2")
		require.True(t, Valid(expression), "%.80s is right, for ECMA 262", expression)
	}
}

// What ECMA 262 and RE2 both have, with another meaning, is ECMA 262's, with a note.
func TestPOSIXClasses(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{`^[[:alpha:]]+$`, `[_[:^digit:]x]`} {
		_, notes, err := Translate(expression)
		require.NoError(t, err, expression)
		require.Len(t, notes, 1, expression)
		require.Contains(t, notes[0], "sees single characters", expression)
	}
	re, err := Compile(`^[[:alpha:]]$`)
	require.NoError(t, err)
	require.True(t, re.MatchString(":]"))
	require.False(t, re.MatchString("x"))
	for _, expression := range []string{`[:alpha:]`, `[a[:b]`, `\[[:a]`} {
		_, notes, err := Translate(expression)
		require.NoError(t, err, expression)
		require.Empty(t, notes, expression)
	}
}

// RE2's own syntax keeps working, with a note; what neither has is an error.
func TestOthersSyntax(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{`(?i)abc`, `\A\d+\z`, `(?P<n>a)`, `\pL`, `\p{Greek}`, `\Qa.b\E`, `\x{41}`, `(?m)^a$`, `(?<n>a)(?<n>b)`, `\a`} {
		re2, notes, err := Translate(expression)
		require.NoError(t, err, expression)
		require.Equal(t, expression, re2)
		require.Len(t, notes, 1, expression)
		require.Contains(t, notes[0], "is RE2's and not ECMA 262's")
		require.False(t, Valid(expression), expression)
	}
	for _, expression := range []string{`(`, `)`, `a)`, `[`, `[z-a]`, `*`, `a**`, `a{2,1}`, `\`, `\u12`, `\k<n>`, `(?`, `(?i`, `\c`, `\2(a)`} {
		_, _, err := Translate(expression)
		var invalid *Invalid
		require.ErrorAs(t, err, &invalid, expression)
		require.False(t, Valid(expression), expression)
	}
	_, notes, err := Translate(`^[\uD800-\uDBFF]$`)
	require.NoError(t, err)
	require.Contains(t, notes[0], "alone, which no text matches")
}

func FuzzTranslate(f *testing.F) {
	for _, s := range []string{`^[\s\S]*$`, `(?<a>b)\k<a>`, `\p{L}`, `[^]`, `\u{1F600}`, `a{1,2}?`, `(?i-s:a)`, `[\w-.]`, `(?!a)`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		re2, _, err := Translate(s)
		if err != nil {
			return
		}
		_, err = regexp.Compile(re2)
		require.NoError(t, err, s)
	})
}
