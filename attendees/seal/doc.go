// Package seal is the cryptography of Lethe: keys, ciphers, halves, locks and keyed
// hashes, as pure functions. It knows no database and no other package of ours.
//
// A Keyring is LETHE_SECRET. It derives one subkey per use, finds people by keyed hashes,
// wraps the server's copies of keys, and seals staff's texts. A Cipher seals the layers and
// records of one event under one of its keys. Halves seal each record once more, for the
// person of an address. A Lock is an age key pair of one event, to which is sealed what
// only officers open. Officers are the public keys of those.
//
// # Frames
//
// A frame is a list of byte strings, each with its length in front, as 4 bytes, the most
// significant first. It says where something sealed belongs, so that nothing opens in
// another place. The frame of a Place has six parts: the event's id at its source, the
// key's name, its generation (8 bytes), the subject (the 16 bytes of the key of an attendee
// or a response; empty for a key), a number (4 bytes), and the origin.
//
// # Layers and records
//
// AES-256-GCM under the 32 bytes of an event's key: 12 random bytes of nonce, then the
// cipher text, then 16 bytes of tag. The additional data are the frame of the Place. The
// plain text is JSON, with spaces behind it up to 256 bytes, or else up to the next power
// of two.
//
// # Halves
//
// The same plain text and form, under a key of its own: HKDF-SHA-256 of the person subkey
// with the pepper as salt and, as info, a frame of the event, the key's name, its
// generation, the normalised address, the subject (16 bytes) and the number (4 bytes).
// In front are the 4 bytes that name the secret. The additional data are the frame of the
// record's Place.
//
// # Locks
//
// An age file (age-encryption.org/v1) to the event's X25519 public key. age has no
// additional data, so its plain text begins with the frame of the Place, which is compared
// after opening. Behind the frame is what is sealed: JSON with spaces as above, or the 32
// bytes of a key. The lock's private half is an age file to all officers, whose plain text
// is an identity file: comments that name the event and the generation, and the line
// AGE-SECRET-KEY-1…
//
// So an officer opens a record without Lethe: `age -d -i officer.key` of the lock, `age -d`
// with that of the key, cut off the frame, AES-256-GCM. A test does so with age and the
// standard library, on the vectors in testdata/vectors.json.
//
// # Wrapped keys and texts
//
// 4 bytes that name the secret (the first bytes of HMAC-SHA-256 under it of "lethe key id"),
// then nonce, cipher text and tag of AES-256-GCM under a subkey of that secret, with the
// frame of a Place as additional data; a pepper's has the origin "pepper". Keys and peppers
// are wrapped as their 32 bytes, texts have spaces behind them as above. Subkeys are
// HKDF-SHA-256 of the secret without salt, with "lethe " and the use as info: "wrapping",
// "text", "person" for halves, "index" for keyed hashes.
//
// # Keyed hashes
//
// HMAC-SHA-256 under the subkey "index" over a frame, cut to 16 bytes. The frame of an
// address is "address", the event's id, the normalised address. A hash that serves as a row's
// key has the version and variant bits of a UUID of version 8 (RFC 9562), and its last byte
// is the number of a ticket's holder, or 0.
//
// # What files show besides
//
// Rows that one transaction wrote are near each other in a table's file and in the WAL, so
// who was stored together can be seen, though not who: batches are sorted by keyed hashes. Sizes show
// which power of two a text has, days are readable, and how many responses an attendee has.
package seal
