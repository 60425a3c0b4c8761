// Package rest is the one polite HTTP client through which sources are asked:
// bounded retries, a rate budget that is obeyed before it runs out, and errors that
// name a path without its query, for a query may hold what is nobody's business.
package rest
