// Package export writes the lists that leave: CSV and JSON, as a stream, to a file
// that is there whole or not at all.
//
// It writes what a purpose names and no other column, and knows no database: rows
// come from an iterator. Whoever calls it keeps a receipt of every list.
package export
