package ledger

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
)

// SaltSize is the length of a commitment's salt in bytes.
const SaltSize = 16

// Opening opens the commitment of one entry: with it, and the organisation's secret,
// one can show who the entry was about; once it is pruned nobody can.
type Opening struct {
	Index   int64  // of the entry
	Salt    []byte // SaltSize random bytes
	KeyedID []byte // a hash of the registration's id under the server's secret
	Key     string // id of that secret
}

// Commit binds an entry to a registration without telling which.
func Commit(salt, keyedID []byte) []byte {
	h := sha256.New()
	for _, part := range [][]byte{[]byte("lethe commitment"), salt, keyedID} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	return h.Sum(nil)
}

// Opens tells whether the opening is the entry's.
func (o Opening) Opens(e Entry) bool {
	return len(o.Salt) == SaltSize && subtle.ConstantTimeCompare(Commit(o.Salt, o.KeyedID), e.Person) == 1
}
