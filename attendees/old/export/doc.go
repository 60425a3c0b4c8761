// Package export writes the lists that leave: CSV, JSON and Excel workbooks, as a
// stream, to a file that is there whole or not at all.
//
// It writes what a purpose names and no other column. CSV, JSON and XLSX know no
// database: rows come from an iterator. Start reading at list.go, the one way in which a
// list leaves: it keeps a receipt of every one.
package export
