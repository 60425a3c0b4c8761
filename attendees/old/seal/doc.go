// Package seal holds the keys under which people are found and, once their event is
// over, kept closed.
//
// A Keyring is the server's secret, or several of them, newest first. It makes the
// address index: a keyed hash by which a person's records are found, and by which
// nobody without the secret can tell whose they are, nor that two events' records
// are one person's. Normalise is the one function that decides when two spellings
// of an address are the same.
//
// A Sealer seals a Record in two halves. The officers' half is one ordinary age file
// (age-encryption.org/v1) to all officers' public keys: the standard `age -d -i
// officer.key` opens it, on a machine that never saw the server. The person's half
// opens with the server's secret and the person's own address.
//
// What a thief gets: with the database alone, nothing, not even that two records are
// one person. With the database and the secret he can test addresses that he already
// has, and opens the person's half of those that match. Without a person's half
// (policy `seal: officer`, or after person_opens_for) he gets nothing even then.
package seal
