package schema

import (
	"slices"
	"strings"
)

// drafts in their order.
var drafts = []string{"4", "6", "7", "2019-09", "2020-12"}

// describing are keywords that change nothing about what is valid, so that it does not
// matter which draft has them: the standard's, the places of shared schemas, and what
// editors and generators of code read.
var describing = namesOf(`$schema $comment $defs definitions title description default examples readOnly writeOnly deprecated
	defaultSnippets deprecationMessage doNotSuggest enumDescriptions enumNames errorMessage existingJavaType javaType
	markdownDescription markdownEnumDescriptions patternErrorMessage propertyOrder tsAdditionalProperties tsEnumNames tsType`)

// keywordDrafts says which drafts have the other keywords, by the first and the last.
var keywordDrafts = map[string][]string{
	"4 2020-12": strings.Fields(`$ref additionalProperties allOf anyOf dependencies enum exclusiveMaximum exclusiveMinimum format items
		maxItems maxLength maxProperties maximum minItems minLength minProperties minimum multipleOf not oneOf pattern
		patternProperties properties required type uniqueItems`),
	"4 4":             {"id"},
	"4 2019-09":       {"additionalItems"},
	"6 2020-12":       {"$id", "const", "contains", "propertyNames"},
	"7 2020-12":       {"if", "then", "else", "contentEncoding", "contentMediaType"},
	"2019-09 2019-09": {"$recursiveRef", "$recursiveAnchor"},
	"2019-09 2020-12": strings.Fields(`$anchor $vocabulary contentSchema dependentRequired dependentSchemas maxContains minContains
		unevaluatedItems unevaluatedProperties`),
	"2020-12 2020-12": {"$dynamicRef", "$dynamicAnchor", "prefixItems"},
}

// successors are what to write for a keyword that the file's draft does not have.
var successors = map[string]string{
	"id": "\"$id\"", "additionalItems": "\"items\" beside \"prefixItems\"", "prefixItems": "\"items\": […], or name a newer draft",
	"$recursiveRef": "\"$dynamicRef\"", "$recursiveAnchor": "\"$dynamicAnchor\"", "$id": "\"id\"",
	"dependentRequired": "\"dependencies\", or name a newer draft", "dependentSchemas": "\"dependencies\", or name a newer draft",
	"const": "\"enum\" with one value, or name a newer draft",
}

func namesOf(text string) map[string]bool {
	names := make(map[string]bool)
	for _, name := range strings.Fields(text) {
		names[name] = true
	}
	return names
}

// keywordsOf are the keywords that have a meaning in a draft, or describe.
func keywordsOf(dialect string) map[string]bool {
	known := make(map[string]bool)
	for name := range describing {
		known[name] = true
	}
	at := slices.Index(drafts, dialect)
	for span, names := range keywordDrafts {
		first, last, _ := strings.Cut(span, " ")
		if slices.Index(drafts, first) <= at && at <= slices.Index(drafts, last) {
			for _, name := range names {
				known[name] = true
			}
		}
	}
	return known
}

// draftsWith names the drafts that have a keyword, "" if none has.
func draftsWith(name string) string {
	for span, names := range keywordDrafts {
		if !slices.Contains(names, name) {
			continue
		}
		first, last, _ := strings.Cut(span, " ")
		switch {
		case first == last:
			return "draft " + first
		case last == drafts[len(drafts)-1]:
			return "draft " + first + " and later"
		}
		return "drafts " + first + " to " + last
	}
	return ""
}
