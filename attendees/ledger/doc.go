// Package ledger records what was done, provably and without personal data.
//
// Each Entry is a leaf of a Merkle tree (RFC 6962, by golang.org/x/mod/sumdb/tlog);
// each Checkpoint is the tree's size and root as a signed note. About one person an
// entry holds a salted commitment, whose Opening is kept beside the tree and can be
// pruned, so that the ledger forgets too. A Certificate hands one entry to somebody
// who can check it without a database.
//
// What this proves: that something was recorded then, and has not been changed since.
// What it does not: that no copy exists elsewhere, or that the operator told the truth.
//
// # How to write a verifier of your own
//
// A certificate is text, in this order, each line ending in a newline:
//
//		lethe certificate 1
//		index N                     the entry's place in the tree, from 0
//		entry JSON                  the leaf: exactly these bytes, without the newline
//		opening SALT ID             base64; or "opening -" where the entry names no person
//		proof HASH HASH …           base64, from the leaf up; or "proof -" for a tree of one
//		                            (empty line)
//		lethe                       from here to the end: the checkpoint, a signed note
//		SIZE                        how many entries the tree has
//		ROOT                        base64 of the tree's root
//		                            (empty line)
//		— lethe SIGNATURE           base64
//
//	 1. The key that `lethe ledger key` prints is "lethe+HASH+KEY"; KEY is base64 of one
//	    byte 1 and the 32 bytes of an Ed25519 public key.
//	 2. SIGNATURE is base64 of four bytes (HASH) and 64 of an Ed25519 signature over the
//	    checkpoint's first three lines, each with its newline.
//	 3. The leaf's hash is SHA-256 of a byte 0 and the leaf. The hash of two nodes is
//	    SHA-256 of a byte 1, the left one and the right one.
//	 4. Walk from the leaf up with n = N and last = SIZE - 1. For each HASH of the proof: where
//	    n is odd or n = last, the node is the hash of (HASH, node), and then while n is even
//	    and not 0, halve n and last; else it is the hash of (node, HASH). Halve n and last
//	    after each. The node must be ROOT in the end, and last must be 0 (RFC 9162, 2.1.3.2).
//	 5. The entry's "person" is base64 of SHA-256 over these, each behind its length in four
//	    bytes, the highest first: "lethe commitment", SALT, ID. ID is a hash of the
//	    registration's number under the organisation's secret: only it can link the two.
package ledger
