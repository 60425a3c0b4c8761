// Package typeform asks Typeform's Responses and Create APIs for what the policy can
// use, and for nothing else: answers to other questions are not asked for, and where
// they come all the same they are skipped undecoded, like metadata, scores and foreign
// hidden fields. Nothing of anybody's answers stands in its errors and log lines.
//
// Read Responses first. The package knows no database; it yields pages.
package typeform
