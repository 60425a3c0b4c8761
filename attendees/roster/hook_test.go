package roster

// OfPeople is a like store whose rosters have at most so many people.
func OfPeople(s *Store, most int) *Store {
	like := New(s.pool, s.events, s.reader, s.policy, s.now)
	like.most = most
	return like
}

// OfBytes is a like store whose rosters take at most so many bytes.
func OfBytes(s *Store, bytes int) *Store {
	like := New(s.pool, s.events, s.reader, s.policy, s.now)
	like.bytes = bytes
	return like
}

// Remembered is how many rosters are remembered.
func Remembered(s *Store) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.rosters {
		if m.roster != nil {
			n++
		}
	}
	return n
}
