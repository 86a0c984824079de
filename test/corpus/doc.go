// Package corpus reads test data of others that are not in this repository: the public
// JSON Schema tests, and GitHub's webhook schemas with example deliveries (made from
// github.com/octokit/webhooks, commit 3a58428a, MIT licence; its pings are left out where
// deliveries are published). They are archives in the folder that GATEWAY_TEST_CORPUS
// names, by default ../shared/corpus beside the repository. A test that needs them is
// skipped where there are none, and `make test` says so at its end.
package corpus
