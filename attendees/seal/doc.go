// Package seal holds the keys under which people are found and, once their event is
// over, kept closed.
//
// A Keyring is the server's secret, or several of them, newest first. It makes the
// address index: a keyed hash by which a person's records are found, and by which
// nobody without the secret can tell whose they are, nor that two events' records
// are one person's. Normalise is the one function that decides when two spellings
// of an address are the same.
package seal
